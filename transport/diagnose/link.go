//go:build !js

package diagnose

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport"
)

const (
	answerTimeout = 10 * time.Second // for an echo or a pong
	maxSkew       = time.Minute      // between the clocks of both ends, before a warning
	seenLimit     = 4 << 10          // bytes in a server's first message
	shown         = 200              // characters of foreign text in a report
)

// examine tests an open connection, then closes it.
func (d *diagnosis) examine(ctx context.Context, conn transport.Conn) {
	defer conn.Close(transport.CodeNormal, "")
	if conn.Info().Subprotocol != subprotocol {
		d.add(Finding{Step: "echo", Result: Skipped, Advice: "serve diagnose.Handler beside the service to have messages echoed"})
	} else if !d.timed(ctx, "echo", func(ctx context.Context, f *Finding) error { return d.echo(ctx, conn, f) }) {
		return
	}
	r := drain(ctx, conn) // a pong arrives only while somebody reads
	alive := d.timed(ctx, "keep-alive", func(ctx context.Context, f *Finding) error { return pong(ctx, conn) })
	if alive && d.idle > 0 {
		d.wait(ctx, r)
	}
	conn.Close(transport.CodeNormal, "")
	<-r.done
}

// timed runs a step of at most answerTimeout, adds its Finding, and reports whether it did
// not fail.
func (d *diagnosis) timed(ctx context.Context, step string, do func(context.Context, *Finding) error) bool {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	f := Finding{Step: step, Result: Passed}
	begin := time.Now()
	if err := do(ctx, &f); err != nil {
		f.Result, f.Problem = Failed, safetext.Line(err.Error(), shown)
	}
	f.Took = time.Since(begin)
	d.add(f)
	return f.Result != Failed
}

// echo reads what the server sees, and has it echo messages of several sizes.
func (d *diagnosis) echo(ctx context.Context, conn transport.Conn, f *Finding) error {
	asked := time.Now()
	msg, err := conn.Read(ctx, nil)
	if err != nil {
		return err
	}
	theirs, err := parseSeen(msg)
	if err != nil {
		return err
	}
	d.report.HopTLS = hopTLS(conn.Info().TLS, theirs)
	f.Saw = append(f.Saw, theirs.lines()...)
	f.warnOfSkew(time.UnixMilli(theirs.Time).Sub(asked))
	for _, size := range []int{1, 1 << 10, maxMessage} {
		begin := time.Now()
		if err := echoes(ctx, conn, size); err != nil {
			return err
		}
		f.Saw = append(f.Saw, fmt.Sprintf("%d bytes came back after %.1f ms", size, float64(time.Since(begin))/1e6))
	}
	return nil
}

// warnOfSkew warns of clocks that differ by more than maxSkew: certificates and messages
// depend on the time.
func (f *Finding) warnOfSkew(skew time.Duration) {
	if skew.Abs() > maxSkew {
		f.Result = Warned
		f.Problem = fmt.Sprintf("the server's clock differs from this one by %s", skew.Round(time.Second))
		f.Advice = "have both set by a time server"
	}
}

func parseSeen(msg []byte) (*seen, error) {
	var s seen
	dec := json.NewDecoder(bytes.NewReader(msg))
	dec.DisallowUnknownFields()
	if len(msg) > seenLimit || dec.Decode(&s) != nil || !atEnd(dec) {
		return nil, errors.New("the server says that it answers diagnoses, and does not: is it of another version?")
	}
	return &s, nil
}

func atEnd(dec *json.Decoder) bool {
	_, err := dec.Token()
	return err == io.EOF
}

func (s *seen) lines() []string {
	how := "in cleartext"
	if s.TLS != "" {
		how = "over " + safetext.Line(s.TLS, 20)
	}
	return []string{"the server sees " + safetext.Line(s.Client, 60) + ", " + how}
}

func echoes(ctx context.Context, conn transport.Conn, size int) error {
	msg := make([]byte, size)
	rand.Read(msg)
	if err := conn.Write(ctx, msg); err != nil {
		return fmt.Errorf("%d bytes: %w", size, err)
	}
	got, err := conn.Read(ctx, nil)
	if err != nil {
		return fmt.Errorf("%d bytes: %w", size, err)
	}
	if !bytes.Equal(got, msg) {
		return fmt.Errorf("%d bytes came back changed: a hop alters messages", size)
	}
	return nil
}

// A pinger is a Conn that sends pings, as the one from transport.Dial does.
type pinger interface{ Ping(context.Context) error }

// pong sends a ping and waits for the answer. Another goroutine has to read meanwhile.
func pong(ctx context.Context, conn transport.Conn) error {
	if err := conn.(pinger).Ping(ctx); err != nil {
		return errors.New("no answer to a ping: a hop swallows control frames, or the server is stuck")
	}
	return nil
}

// A drained is a connection whose messages are discarded until it ends.
type drained struct {
	done chan struct{} // closed when the connection has ended
	err  error         // why it ended; set before done is closed
}

func drain(ctx context.Context, conn transport.Conn) *drained {
	r := &drained{done: make(chan struct{})}
	go func() {
		defer close(r.done)
		var buf []byte
		for r.err == nil {
			buf, r.err = conn.Read(ctx, buf[:0])
		}
	}()
	return r
}

// wait watches a silent connection for d.idle.
func (d *diagnosis) wait(ctx context.Context, r *drained) {
	ctx, cancel := context.WithTimeout(ctx, d.idle)
	defer cancel()
	f := Finding{Step: "idle", Result: Passed}
	begin := time.Now()
	select {
	case <-r.done:
		f.explainEnd(r.err, time.Since(begin))
	case <-ctx.Done():
	}
	f.Took = time.Since(begin)
	d.add(f)
}

// explainEnd explains why a silent connection ended.
func (f *Finding) explainEnd(err error, after time.Duration) {
	f.Result = Warned
	f.Problem = "the silent connection was ended: " + safetext.Line(err.Error(), shown)
	f.Advice = "pings every 25 seconds, which Dial and transport.Accept send, keep it; the limit of the hop could be higher"
	if errors.Is(err, io.EOF) {
		f.Advice = "the server closed it itself: see its idle timeout"
	} else if after < transport.DefaultKeepAlive {
		f.Result = Failed
		f.Advice = "pings come every 25 seconds: raise the idle timeout of the hops above that, or set a shorter KeepAlive at both ends"
	}
}
