// Package auto starts a host when it is imported:
//
//	import _ "github.com/hotgo/hotgo/pkg/reloader/auto"
//
// The host has the defaults of reloader.Options and takes HOTGO_NAME,
// HOTGO_SOCKET, HOTGO_DIR, HOTGO_RESTORE and HOTGO_TRUSTED_KEYS from the
// environment. HOTGO_RESTORE=off starts the program without what was live before, and
// "later" leaves it to Host().Restore. The last are public keys of minisign, and files
// that have one each, separated as the paths of a list are. A program must not fail to start because it cannot be
// reloaded: what goes wrong is said once on standard error, and the program goes
// on, without a socket if need be. Where a
// key cannot be read, nothing can be loaded.
package auto

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hotgo/hotgo/pkg/internal/minisign"
	"github.com/hotgo/hotgo/pkg/reloader"
)

var host = start(reloader.New, func(err error) { fmt.Fprintln(os.Stderr, "hotgo: "+err.Error()) })

// Host gives the host that was started, for reloader.Bind. It is never nil and
// ready while package variables of its importers are initialised.
func Host() *reloader.Host { return host }

// start tries less and less until it works: without a socket, and without
// everything that the environment asked for.
func start(open func(reloader.Options) (*reloader.Host, error), complain func(error)) *reloader.Host {
	want := reloader.Options{Name: os.Getenv("HOTGO_NAME"), Dir: os.Getenv("HOTGO_DIR")} // the socket's variable is read by New
	var err error
	if want.TrustedKeys, err = trustedKeys(os.LookupEnv(keysVariable)); err != nil {
		complain(fmt.Errorf("nothing can be loaded: %w", err))
	}
	if want.Restore, err = whenToRestore(os.Getenv(restoreVariable)); err != nil {
		complain(err)
	}
	h, err := open(want)
	if err == nil {
		return h
	}
	complain(fmt.Errorf("reloading is limited: %w", err))
	for _, o := range []reloader.Options{
		{Name: want.Name, Dir: want.Dir, Restore: want.Restore, TrustedKeys: want.TrustedKeys, NoSocket: true},
		{TrustedKeys: want.TrustedKeys, NoSocket: true},
	} {
		if h, err = open(o); err == nil {
			return h
		}
	}
	// The last options ask for nothing that can fail: the keys were read already.
	panic("hotgo: start a host: " + err.Error())
}

const restoreVariable = "HOTGO_RESTORE"

// whenToRestore reads what hosts are to do with what was live before. A value that
// was mistyped is most likely one that was to keep it away.
func whenToRestore(value string) (reloader.Restore, error) {
	switch r := reloader.Restore(value); r {
	case "", reloader.RestoreAtStart, reloader.RestoreLater, reloader.RestoreOff:
		return r, nil
	}
	return reloader.RestoreOff, fmt.Errorf("nothing is restored: %s is %.40q, which is none of at-start, later and off", restoreVariable, value)
}

const keysVariable = "HOTGO_TRUSTED_KEYS"

// trustedKeys reads the list. A variable that is set trusts somebody or nobody,
// never everybody: one that is empty, as where another that it is made of is not
// set, is a mistake like a file that cannot be read.
func trustedKeys(list string, set bool) ([]string, error) {
	if !set {
		return nil, nil
	}
	keys := []string{}
	for _, entry := range filepath.SplitList(list) {
		key, err := trustedKey(entry)
		if err != nil {
			return []string{}, fmt.Errorf("read %s: %w", keysVariable, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return keys, errors.New("read " + keysVariable + ": it is set, and names no key")
	}
	return keys, nil
}

// trustedKey gives a key, or what a file has of one.
func trustedKey(entry string) (string, error) {
	k, err := minisign.ParsePublicKey(entry)
	if err == nil {
		return k.String(), nil
	}
	f, openErr := os.Open(entry)
	if openErr != nil {
		return "", fmt.Errorf("%q is no public key, and no file: %w", entry, openErr)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, minisign.MaxFile+1))
	if err == nil {
		k, err = minisign.ParsePublicKey(string(text))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", entry, err)
	}
	return k.String(), nil
}
