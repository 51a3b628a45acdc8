package agent

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// An agent that lives but does not answer keeps its socket: only a socket that refuses connections
// was left behind.
func TestListenKeepsTheSocketOfABusyAgent(t *testing.T) {
	key := Key{Local(newKey()), Messages}
	path := filepath.Join(privateDir(t), "s")
	fillQueue(t, path)
	for range 2 {
		if _, err := Listen(path, key); !errors.Is(err, ErrInUse) {
			t.Errorf("a full queue: %v", err)
		}
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error("the socket was removed: ", err)
	}
}

// fillQueue listens and accepts nobody. It opens as many connections as the kernel has room for.
func fillQueue(t *testing.T, path string) {
	t.Helper()
	socket := func() int {
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Close(fd) })
		return fd
	}
	fd, address := socket(), &syscall.SockaddrUnix{Name: path}
	if err := errors.Join(syscall.Bind(fd, address), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		c := socket()
		if err := syscall.SetNonblock(c, true); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Connect(c, address); err != nil {
			return
		}
	}
	t.Skip("this kernel's queue has no end")
}

func TestListenKeepsTheSocketWhenDescriptorsRunOut(t *testing.T) {
	key := Key{Local(newKey()), Messages}
	path := filepath.Join(privateDir(t), "s")
	s := must(Listen(path, key))
	defer s.Close()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	_, err := Listen(path, key)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, syscall.EMFILE) || errors.Is(err, ErrInUse) {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error("the socket was removed: ", err)
	}
}
