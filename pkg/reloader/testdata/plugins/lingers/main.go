// Command lingers is a plugin that leaves a goroutine behind.
package main

import "context"

// Price triples and a half.
func Price(x int) int { return 7 * x / 2 }

// HotStart starts what nobody ends.
func HotStart(context.Context) error {
	started := make(chan struct{})
	go linger(started)
	<-started
	return nil
}

func linger(started chan<- struct{}) {
	close(started)
	select {}
}

// HotgoSymbols is the entry that hotgo generates.
func HotgoSymbols(add func(name string, value any)) {
	add("Price", Price)
	add("HotStart", HotStart)
}

func main() {}
