//go:build unix

package socket

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// Works says whether there can be a socket here.
const Works = true

const (
	maxSocketPath = 103 // bytes: macOS and the BSDs have 104 with a zero, Linux 108
	maxSocketName = 60  // bytes, so that a descriptor's path goes in front
)

// Path returns the path of the socket of a store. If the store's name is long, the socket's name is a hash
// of it.
func Path(store string) string {
	dir, name := filepath.Split(store)
	if len(name)+len(".sock") > maxSocketName {
		sum := sha256.Sum256([]byte(name))
		name = ".hopseal-" + hex.EncodeToString(sum[:16])
	}
	return dir + name + ".sock"
}

// withFolder calls f with a path to the folder of a socket. The path is short enough for a socket in it.
func withFolder(socket string, f func(dir string) error) error {
	if len(socket)+len(unfinished) <= maxSocketPath {
		return f(filepath.Dir(socket))
	}
	dir, short, err := openFolder(filepath.Dir(socket))
	if err != nil {
		return &longPathError{socket, err}
	}
	defer dir.Close()
	return f(short)
}

// A longPathError says that there can be no socket beside a store.
type longPathError struct {
	socket string
	err    error
}

func (e *longPathError) Error() string {
	return fmt.Sprintf("the path %s is longer than the %d bytes that a socket may have here: move the store to a shorter one: %v", e.socket, maxSocketPath, e.err)
}

func (e *longPathError) Unwrap() error { return e.err }

const unfinished = ".new" // ends the name of a socket that does not listen yet, or is open to others

// Listen makes the socket of a store. The caller holds the store's lock.
func Listen(store string) (*Socket, error) {
	l := &Socket{path: Path(store), Peer: samePeer}
	err := withFolder(l.path, func(dir string) error { return l.listen(dir) })
	if err != nil {
		return nil, err
	}
	return l, nil
}

// listen gives the socket its name only once it listens, and only its own user may connect.
func (l *Socket) listen(dir string) (err error) {
	name := filepath.Join(dir, filepath.Base(l.path))
	if err := errors.Join(removeStale(name, l.path), removeStale(name+unfinished, l.path+unfinished)); err != nil {
		return err
	}
	if l.Listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: name + unfinished, Net: "unix"}); err != nil {
		return err
	}
	l.Listener.SetUnlinkOnClose(false) // close does so, if it is still that one
	l.info, err = os.Lstat(name + unfinished)
	if err = errors.Join(err, os.Chmod(name+unfinished, 0o600)); err == nil {
		err = os.Rename(name+unfinished, name)
	}
	if err != nil {
		l.Listener.Close()
		os.Remove(name + unfinished)
	}
	return err
}

// removeStale removes a socket that refuses connections, since the writer that made it was
// killed. The path is for people, the short one for the kernel.
func removeStale(short, path string) error {
	info, err := os.Lstat(short)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is not a socket: move it away", path)
	}
	c, err := net.Dial("unix", short)
	if err == nil {
		c.Close()
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return os.Remove(short)
	}
	return fmt.Errorf("another process listens at %s, or may do so: stop it", path)
}

// Dial connects to the writer of a store.
func Dial(ctx context.Context, store string) (conn net.Conn, err error) {
	socket := Path(store)
	err = withFolder(socket, func(dir string) error {
		var d net.Dialer
		conn, err = d.DialContext(ctx, "unix", filepath.Join(dir, filepath.Base(socket)))
		return err
	})
	_, long := errors.AsType[*longPathError](err)
	if long || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		err = ErrNotServed
	}
	return conn, err
}

// Allowed refuses other users than the one that this process runs as, and root.
func Allowed(uid uint32) error {
	if int(uid) != os.Geteuid() && uid != 0 {
		return fmt.Errorf("keys: user %d may not ask", uid)
	}
	return nil
}
