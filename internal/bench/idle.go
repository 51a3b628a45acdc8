package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"

	"github.com/coder/websocket"

	"github.com/hopseal/hopseal/transport"
)

// idleRows count the memory of connections that wait for a message, both ends of
// each in this process.
func idleRows(e effort) ([]row, error) {
	return compareIdle(e, "transport, idle connection, one end", echoLink, idleLink, 1.1)
}

// compareIdle holds the memory of something idle against that of coder/websocket.
func compareIdle(e effort, what string, serve http.HandlerFunc, open func(url string) (func(), error), most float64) ([]row, error) {
	var f failed
	r := comparison{rounds: 3, calls: 1,
		a: func(int) { f.check(openIdle(e.idle, serve, open, nil)) },
		b: func(int) { f.check(openIdle(e.idle, echoBare, idleBare, nil)) },
	}.run()
	r.What, r.Against = what, "coder/websocket"
	r.Allocations, r.AgainstAllocations = 0, 0
	f.check(openIdle(e.idle, serve, open, &r.Bytes))
	f.check(openIdle(e.idle, echoBare, idleBare, &r.AgainstBytes))
	met := func(r row) bool { return r.Bytes <= most*r.AgainstBytes }
	return []row{r.against(goal{fmt.Sprintf("memory <= %g x", most), met})}, f.err
}

// openIdle holds n connections and says what one end takes, in bytes of heap and
// stacks.
func openIdle(n int, serve http.HandlerFunc, open func(url string) (closing func(), err error), size *float64) error {
	server := httptest.NewServer(serve)
	defer server.Close()
	before := inUse()
	var closing sync.WaitGroup
	defer closing.Wait()
	for range n {
		end, err := open(server.URL)
		if err != nil {
			return err
		}
		defer closing.Go(end)
	}
	if size != nil {
		*size = float64(inUse()-before) / float64(2*n)
	}
	return nil
}

func inUse() int64 {
	var m runtime.MemStats
	for range 3 { // pools take two collections to empty
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func idleLink(url string) (func(), error) {
	conn, err := transport.Dial(context.Background(), url, dialHere)
	if err != nil {
		return nil, err
	}
	read := make(chan struct{})
	go func() { conn.Read(context.Background(), nil); close(read) }()
	return func() { conn.Close(transport.CodeNormal, ""); <-read }, nil
}

func idleBare(url string) (func(), error) {
	conn, err := dialBare(url)
	if err != nil {
		return nil, err
	}
	read := make(chan struct{})
	go func() { conn.Read(context.Background()); close(read) }()
	return func() { conn.Close(websocket.StatusNormalClosure, ""); <-read }, nil
}
