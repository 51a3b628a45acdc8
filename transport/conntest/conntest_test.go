package conntest_test

import (
	"testing"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/conntest"
)

func TestPipe(t *testing.T) {
	conntest.Test(t, conntest.Link{OneWay: true, Connect: func(t *testing.T) (a, b transport.Conn) {
		return transport.Pipe(transport.WithMaxMessage(conntest.MaxMessage))
	}})
}
