package core

import (
	"testing"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/conntest"
)

// TestConnsKeepThePromisesOfTransport runs the suite of package conntest over connections whose
// sockets are the pages'. A socket takes everything, so nobody waits for the peer.
func TestConnsKeepThePromisesOfTransport(t *testing.T) {
	conntest.Test(t, conntest.Link{Unbounded: true, OneWay: true, Connect: func(t *testing.T) (a, b transport.Conn) {
		here, there := newPage(t), newPage(t)
		from, to := &crossing{from: here, to: there}, &crossing{from: there, to: here}
		from.id, to.id = here.attach(from, conntest.MaxMessage), there.attach(to, conntest.MaxMessage)
		from.other, to.other = to, from
		return here.core.objects.get(from.id).(*conn), there.core.objects.get(to.id).(*conn)
	}})
}

// A crossing is the socket of one page that ends in another page.
type crossing struct {
	from, to *page
	id       uint32
	other    *crossing
}

func (c *crossing) send(msg []byte) { c.to.sync("connReceived", c.other.id, msg) }

func (c *crossing) close(code transport.Code, reason string) {
	c.to.sync("connClosed", c.other.id, int(code), reason)
	c.from.sync("connClosed", c.id, int(code), reason)
}
