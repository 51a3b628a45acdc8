package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/netconn"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/adapt"
)

// bulkSize is how much goes one way before the other end says that it has it, in bytes.
const bulkSize = 8 << 20

// netConnRows hold a session as a net.Conn against TLS 1.3 as one, both over a WebSocket,
// in the time of a bulk transfer.
func netConnRows(e effort) ([]row, error) {
	ours, err := openNetConn()
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	theirs, err := openTLSOverSocket()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	var f failed
	data := message(bulkSize)
	r := comparison{
		a: func(int) { f.check(bulk(ours, data)) },
		b: func(int) { f.check(bulk(theirs, data)) },
	}.fit(e).wall().run().against(goal{"rate >= 0.8", func(r row) bool { return r.Ratio <= 1/0.8 }})
	r.What, r.Against = "session, NetConn, "+bytesText(bulkSize), "TLS 1.3 over ws"
	return []row{r}, f.err
}

// bulk writes data and waits until all of it has come.
func bulk(c net.Conn, data []byte) error {
	if _, err := c.Write(data); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

// takeBulk takes what bulk writes, again and again.
func takeBulk(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 64<<10)
	for {
		for left := bulkSize; left > 0; {
			n, err := c.Read(buf[:min(left, len(buf))])
			if left -= n; err != nil {
				return
			}
		}
		if _, err := c.Write([]byte{1}); err != nil {
			return
		}
	}
}

// A stopped is a connection that takes its server along when it is closed.
type stopped struct {
	net.Conn
	stop func()
}

func (s stopped) Close() error {
	err := s.Conn.Close()
	s.stop()
	return err
}

func openNetConn() (net.Conn, error) {
	p, err := newPair()
	if err != nil {
		return nil, err
	}
	url, stop, err := p.serve(func(_ context.Context, s *e2e.Session) error {
		takeBulk(netconn.New(s))
		return nil
	})
	if err != nil {
		return nil, err
	}
	s, err := e2e.Dial(context.Background(), url, p.client)
	if err != nil {
		stop()
		return nil, err
	}
	return stopped{netconn.New(s), stop}, nil
}

func openTLSOverSocket() (net.Conn, error) {
	ends, err := newMutualTLS()
	if err != nil {
		return nil, err
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := transport.Accept(w, r, acceptHere); err == nil {
			takeBulk(tls.Server(adapt.NetConn(conn), ends.config))
		}
	}))
	conn, err := transport.Dial(context.Background(), server.URL, dialHere)
	if err != nil {
		server.Close()
		return nil, err
	}
	return stopped{tls.Client(adapt.NetConn(conn), ends.config), server.Close}, nil
}
