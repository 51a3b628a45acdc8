//go:build !js

package transport

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
)

// takeOverTime bounds the write of the answer 101, which fits into any socket's buffer.
const takeOverTime = 10 * time.Second

// A takeover is a socket that net/http has given away, and the http.ResponseWriter for the answer
// 101 on it. The answer does not go through a framework's writer: gin's, for instance, holds a
// status back until something else is written. Taking the socket first also shows, before the
// client gets any answer, whether it can be taken.
type takeover struct {
	raw    net.Conn
	socket net.Conn // raw, or the meter around it if there is one
	rw     *bufio.ReadWriter
	header http.Header
}

// takeOver takes the socket from w, through any wrappers. If that is impossible, takeOver has
// answered nothing, and the refusal says what is in the way.
func takeOver(w http.ResponseWriter, m *meter) (*takeover, *refusal) {
	raw, rw, err := hijack(w)
	if err != nil {
		return nil, notHijacked(w, err)
	}
	t := &takeover{raw: raw, socket: raw, rw: rw, header: w.Header().Clone()}
	if m != nil {
		m.Conn, t.socket = raw, m
		rw.Writer.Reset(m)
	}
	if t.header == nil {
		t.header = http.Header{}
	}
	for _, name := range answerHeaders {
		t.header.Del(name)
	}
	return t, nil
}

// answerHeaders are the headers that middleware cannot set for the answer 101: those of the
// handshake, and those that announce a body. Middleware can set others, such as a cookie.
var answerHeaders = []string{"Connection", "Upgrade", "Sec-Websocket-Accept", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions",
	"Sec-Websocket-Version", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Trailer", "Keep-Alive"}

// Header is described at http.ResponseWriter.
func (t *takeover) Header() http.Header { return t.header }

// WriteHeader writes the answer 101 and ignores other statuses. If the client does not take the
// answer, the first Read finds out.
func (t *takeover) WriteHeader(status int) {
	if status != http.StatusSwitchingProtocols {
		return
	}
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	t.header.Write(&b)
	b.WriteString("\r\n")
	t.raw.SetWriteDeadline(time.Now().Add(takeOverTime))
	if _, err := t.raw.Write(b.Bytes()); err != nil {
		t.raw.Close()
		return
	}
	t.raw.SetWriteDeadline(time.Time{})
}

// Write drops the text of a refusal, which [upgrade] reports.
func (t *takeover) Write(b []byte) (int, error) { return len(b), nil }

// Hijack is described at http.Hijacker.
func (t *takeover) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return noEOFSocket{t.socket}, t.rw, nil
}

// hijack takes the socket by http.ResponseController. It recovers from the panic of a wrapper that
// asserts a Hijacker below it where there is none.
func hijack(w http.ResponseWriter) (socket net.Conn, rw *bufio.ReadWriter, err error) {
	defer func() {
		switch wrong := recover().(type) {
		case nil:
		case *runtime.TypeAssertionError:
			err = wrong
		default:
			panic(wrong)
		}
	}()
	if _, last := unwrapWriter(w); !hijacker(last) { // before a wrapper notes that the connection is hijacked
		return nil, nil, http.ErrNotSupported
	}
	if socket, rw, err = http.NewResponseController(w).Hijack(); err == nil && (socket == nil || rw == nil) {
		err = errors.New("Hijack returned no connection")
	}
	return socket, rw, err
}

// notHijacked returns the refusal of a request whose socket cannot be taken.
func notHijacked(w http.ResponseWriter, err error) *refusal {
	first, last := unwrapWriter(w)
	no := &refusal{status: http.StatusNotImplemented, clientText: "this server is set up wrong: its operator finds the reason in its log"}
	switch {
	case fmt.Sprintf("%T", last) == "*http.timeoutWriter":
		no.problem = "the http.ResponseWriter cannot be hijacked: http.TimeoutHandler has wrapped it: serve this path outside of http.TimeoutHandler"
	case !hijacker(last):
		no.problem = fmt.Sprintf("the http.ResponseWriter cannot be hijacked: middleware has wrapped it in a %T: "+
			"give that type a method Unwrap() http.ResponseWriter, see http.ResponseController, or serve this path outside of that middleware", last)
	default:
		no.problem = fmt.Sprintf("the http.ResponseWriter cannot be hijacked: its type %T says %q: "+
			"serve this path outside of the middleware that wraps it or has written to it", first, safetext.Line(err.Error(), shownReason))
	}
	return no
}

// unwrapWriter follows Unwrap. It returns the first writer that has a Hijack, or else the last one;
// and the last one.
func unwrapWriter(w http.ResponseWriter) (first, last http.ResponseWriter) {
	for last = w; ; w = last {
		if first == nil && hijacker(w) {
			first = w
		}
		below, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if ok {
			last = below.Unwrap()
		}
		if !ok || last == nil {
			return cmp.Or(first, w), w
		}
	}
}

func hijacker(w http.ResponseWriter) bool {
	_, ok := w.(http.Hijacker)
	return ok
}
