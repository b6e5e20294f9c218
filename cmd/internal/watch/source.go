package watch

import "github.com/fsnotify/fsnotify"

// source is where events come from: fsnotify, or a test.
//
// Events name "<path given to add>/<name in it>". The kernel ends a watch by
// itself when its directory is removed or (Linux, BSD) renamed, and says so
// with an event that names the path given to add.
type source struct {
	events <-chan fsnotify.Event
	errors <-chan error
	add    func(dir string) error // not twice without remove
	remove func(dir string) error
	close  func() error // returns when the source's goroutines have ended
}

// eventBuffer is how many events wait in the process. The kernel queues more
// (Linux: fs.inotify.max_queued_events, 16384 by default); this lets the loop
// see that more are there before it does something costly.
const eventBuffer = 1024

// openSource starts fsnotify.
//
// Errors are taken from it at once by a goroutine of their own: fsnotify 1.10.1
// sends some while it holds its lock (backend_inotify.go, handleEvent), and Add,
// Remove and Close wait for that lock, so that a loop which does all three
// would wait for itself. Errors beyond the buffer are dropped: each only says
// that events may be lost, which the loop then knows.
func openSource() (*source, error) {
	w, err := fsnotify.NewBufferedWatcher(eventBuffer)
	if err != nil {
		return nil, err
	}
	errs, drained := make(chan error, maxFaults+1), make(chan struct{})
	go func() {
		defer close(drained)
		defer close(errs)
		for err := range w.Errors {
			select {
			case errs <- err:
			default:
			}
		}
	}()
	closing := func() error {
		err := w.Close()
		if err == nil {
			<-drained
		}
		return err
	}
	return &source{events: w.Events, errors: errs, add: w.Add, remove: w.Remove, close: closing}, nil
}
