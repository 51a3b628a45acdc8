//go:build linux

package transport_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// TestManyConnections holds connections to a server in a process of its own, since
// each end takes a descriptor, and prints what both processes take. They are 10,000 for
// a minute in the long form.
func TestManyConnections(t *testing.T) {
	if os.Getenv("TEST_MANY_SERVER") != "" {
		serveMany(t)
		return
	}
	n, hold := 500, time.Second
	if os.Getenv("HOPSEAL_LONG_TESTS") != "" {
		n, hold = 10_000, time.Minute
	}
	server, url := startMany(t)
	opened := time.Now()
	conns, echoed := make([]transport.Conn, n), make([]chan error, n)
	for i := range conns {
		conns[i], echoed[i] = dial(t, url, nil), make(chan error, 1)
		go func() { // which also answers pings
			_, err := conns[i].Read(context.Background(), nil)
			echoed[i] <- err
		}()
	}
	t.Logf("%d connections opened in %s", n, time.Since(opened).Round(time.Millisecond))
	over := time.NewTimer(hold)
	<-over.C
	t.Logf("resident: clients %d KB, server %d KB; a connection %.1f and %.1f KB",
		resident(t, os.Getpid()), resident(t, server), float64(resident(t, os.Getpid()))/float64(n), float64(resident(t, server))/float64(n))
	for i, conn := range conns {
		mustWrite(t, conn, "still there?")
		if err := <-echoed[i]; err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	var closing sync.WaitGroup
	defer closing.Wait()
	for _, conn := range conns {
		closing.Go(func() { conn.Close(transport.CodeNormal, "") })
	}
}

func serveMany(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := transport.Accept(w, r, &transport.AcceptOptions{Policy: transport.Development}); err == nil {
			echo(conn)
		}
	}))
	defer server.Close()
	fmt.Println("URL " + server.URL)
	bufio.NewReader(os.Stdin).ReadByte() // until the clients are gone
}

// startMany returns the process and the URL of a server.
func startMany(t *testing.T) (pid int, url string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestManyConnections$")
	cmd.Env = append(os.Environ(), "TEST_MANY_SERVER=yes")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); cmd.Wait(); cancel() })
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if url, ok := strings.CutPrefix(lines.Text(), "URL "); ok {
			return cmd.Process.Pid, url
		}
	}
	t.Fatal("the server did not start")
	return 0, ""
}

// resident returns the memory of a process, in KB.
func resident(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb
}
