package keystore

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/hopseal/hopseal/keys/keystore/internal/socket"
)

// as calls f in a thread of another user, which ends with it.
func as(t *testing.T, uid uintptr, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root becomes another user")
	}
	done := make(chan syscall.Errno)
	go func() {
		runtime.LockOSThread() // and never unlocked: nobody else runs in it
		_, _, err := syscall.RawSyscall(syscall.SYS_SETRESUID, uid, uid, uid)
		if err == 0 {
			f()
		}
		done <- err
	}()
	if err := <-done; err != 0 {
		t.Skip("this root cannot: ", err)
	}
}

// connectAs connects in the thread of that user.
func connectAs(t *testing.T, uid uintptr, path string) (conn net.Conn, err error) {
	t.Helper()
	as(t, uid, func() {
		fd, failed := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err = errors.Join(failed, syscall.Connect(fd, &syscall.SockaddrUnix{Name: path})); err == nil {
			f := os.NewFile(uintptr(fd), "socket")
			defer f.Close()
			conn, err = net.FileConn(f)
		}
	})
	return conn, err
}

// TestAnotherUserConnects has a process of another user connect: the socket's mode keeps it out,
// and where somebody has changed that, who it is.
func TestAnotherUserConnects(t *testing.T) {
	cheap(t)
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s, err := Create(t.Context(), filepath.Join(dir, "s"), passphrase, testIdentity(t, "alice"))
	if err = errors.Join(err, os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	serving(t, s)
	path := socket.Path(s.path)
	if _, err := connectAs(t, 65534, path); !errors.Is(err, fsPermission) {
		t.Error("by the socket's mode: ", err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	for uid, heard := range map[uintptr]bool{65534: false, 0: true} {
		conn, err := connectAs(t, uid, path)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		writeFrame(conn, appendHello(nil, newNonce())) // may fail, where it is closed already
		if n, _ := io.CopyN(io.Discard, conn, 1); n == 1 != heard {
			t.Errorf("user %d: heard %v", uid, !heard)
		}
		conn.Close()
	}
}

const fsPermission = syscall.EACCES

// TestASuspendedWriter does nothing of what it was asked when it goes on.
func TestASuspendedWriter(t *testing.T) {
	cheap(t)
	s, path := newStore(t)
	generation := s.contents.generation
	s.Close()
	w := writer(t, path, writerStep+"=serve")
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	defer w.Wait()
	defer w.Process.Kill()
	awaitSocket(t, s)
	c := newClient(t, path)
	suspend := func() {
		if err := w.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	suspend()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := c.Renew(ctx); !errors.Is(err, ErrWriterBusy) {
		t.Error(err)
	}
	w.Process.Signal(syscall.SIGCONT)
	if os.Getenv(longTests) != "" {
		lateRequest(t, c, suspend, func() { w.Process.Signal(syscall.SIGCONT) })
	}
	if c, err := OpenClient(t.Context(), path, passphrase); err != nil || c.contents.generation != generation {
		t.Error("it was done later, or it does not go on: ", err)
	}
}

// lateRequest reaches a writer that is suspended, and goes on when its time is over.
func lateRequest(t *testing.T, c *Client, suspend, goOn func()) {
	ctx, cancel := context.WithTimeout(t.Context(), controlTime+time.Second)
	defer cancel()
	held, free := make(chan struct{}), make(chan struct{})
	tap := c.tap
	c.tap = func(conn net.Conn) net.Conn { return &stopped{Conn: conn, held: held, free: free} }
	defer func() { c.tap = tap }()
	go func() { <-held; suspend(); close(free) }()
	if err := c.Renew(ctx); !errors.Is(err, ErrNoAnswer) {
		t.Error(err)
	}
	goOn()
}
