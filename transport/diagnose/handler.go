//go:build !js

package diagnose

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/transport"
)

// subprotocol is the subprotocol of a server that answers diagnoses. The server's first
// message says what it sees of the client; then it echoes every message.
const subprotocol = "hopseal.diagnose.1"

const (
	longest    = time.Minute // the most that one diagnosis takes
	maxMessage = 64 << 10    // the most bytes in a message
)

// A seen is what a server sees of a client. It is of use to that client alone.
type seen struct {
	Client  string `json:"client"`            // address
	TLS     string `json:"tls,omitempty"`     // version of TLS on the server's own socket
	Binding string `json:"binding,omitempty"` // bindingText of that TLS connection
	Time    int64  `json:"time"`              // the server's clock, in milliseconds since 1970
}

// Handler returns a handler that answers [Run]: it tells the client what this server
// sees of the client's connection, and echoes messages of up to 64 KiB for at most a
// minute. It tells no client anything about another one. Serve it at a path of its own,
// behind the same hops as the service:
//
//	mux.Handle("/diagnose", diagnose.Handler(opts))
func Handler(opts *transport.AcceptOptions) http.Handler {
	o := transport.AcceptOptions{}
	if opts != nil {
		o = *opts
	}
	o.MaxMessage, o.Subprotocols = maxMessage, []string{subprotocol}
	o.Sealed = true // accept cleartext too: the messages hold no secret
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, &o)
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), longest)
		defer cancel()
		answerDiagnosis(ctx, conn)
	})
}

func answerDiagnosis(ctx context.Context, conn transport.Conn) {
	defer conn.Close(transport.CodeNormal, "")
	msg, err := json.Marshal(see(conn.Info(), time.Now()))
	for err == nil {
		if err = conn.Write(ctx, msg); err == nil {
			msg, err = conn.Read(ctx, msg[:0])
		}
	}
}

func see(info transport.Info, now time.Time) seen {
	s := seen{Client: info.Client, Time: now.UnixMilli()}
	if info.TLS != nil {
		s.TLS, s.Binding = info.TLS.Version, bindingText(info.TLS)
	}
	return s
}

// bindingText returns a hash of the channel binding, which hops may see. Only the two ends
// of one TLS connection get the same text.
func bindingText(t *transport.TLSInfo) string {
	b := t.ChannelBinding()
	if b == nil {
		return ""
	}
	sum := sha256.Sum256(label.DiagnoseBinding.With(b))
	return hex.EncodeToString(sum[:])
}

// hopTLS compares the TLS that the client sees with what the server sees.
func hopTLS(ours *transport.TLSInfo, theirs *seen) HopTLS {
	switch {
	case ours == nil:
		return HopTLSNone
	case theirs == nil:
		return HopTLSUnknown
	case theirs.TLS == "":
		return HopTLSReTerminated
	case theirs.Binding == "" || bindingText(ours) == "":
		return HopTLSUnknown
	case theirs.Binding == bindingText(ours):
		return HopTLSUnbroken
	}
	return HopTLSReTerminated
}
