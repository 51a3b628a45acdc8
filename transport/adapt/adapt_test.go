package adapt_test

import (
	"net"
	"testing"

	"github.com/hopseal/hopseal/internal/leak"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/adapt"
	"github.com/hopseal/hopseal/transport/conntest"
)

func TestMain(m *testing.M) {
	leak.Main(m)
}

// limited are the options that conntest requires.
var limited = &adapt.Options{MaxMessage: conntest.MaxMessage}

func TestNetConnsThatCarryMessages(t *testing.T) {
	conntest.Test(t, conntest.Link{OneWay: true, Connect: func(t *testing.T) (a, b transport.Conn) {
		x, y := net.Pipe()
		return adapt.FromNetConn(x, limited), adapt.FromNetConn(y, limited)
	}})
}
