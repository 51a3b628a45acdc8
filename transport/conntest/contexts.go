package conntest

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/hopseal/hopseal/transport"
)

func testContextRead(t *testing.T, a, b transport.Conn) {
	there := listen(b)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	dst, err := a.Read(ctx, []byte("kept"))
	if string(dst) != "kept" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%q, %v", dst, err)
	}
	wantEnd(t, a, err, transport.CodeAbnormal, false)
	got := <-there
	wantEnd(t, b, got.err, transport.CodeAbnormal, true)
	if errors.Is(got.err, io.EOF) {
		t.Errorf("%v looks like an orderly end", got.err)
	}
}

func testContextOver(t *testing.T, a, b transport.Conn) {
	there := listen(b)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := a.Read(ctx, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	wantEnd(t, a, err, transport.CodeAbnormal, false)
	wantEnd(t, b, (<-there).err, transport.CodeAbnormal, true)
}

func testContextLater(t *testing.T, a, b transport.Conn) {
	for range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		written := make(chan error, 1)
		go func() { written <- a.Write(ctx, []byte("message")) }()
		if _, err := b.Read(ctx, nil); err != nil {
			t.Fatal(err)
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	pass(t, a, b, []byte("still here"), nil)
}

func testContextWrite(t *testing.T, a, b transport.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	err := fill(ctx, a)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("64 MiB went to a peer that does not read, or: %v", err)
	}
	wantEnd(t, a, err, transport.CodeAbnormal, false)
	wantEnd(t, b, (<-listen(b)).err, transport.CodeAbnormal, true)
}
