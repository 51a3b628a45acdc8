//go:build !js

package transport_test

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// A server behind a load balancer that ends TLS, whose clients show a bearer token.
func ExampleAccept() {
	opts := &transport.AcceptOptions{
		TrustedHops:  []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, // the load balancer
		Origins:      []string{"https://app.example.com"},                   // beside its own name
		Subprotocols: []string{"chat.v1"},
		Authenticate: func(_ context.Context, c *transport.Caller) (transport.Grant, error) {
			if subtle.ConstantTimeCompare([]byte(c.Token), []byte("open-sesame")) == 0 {
				return transport.Grant{}, transport.ErrUnauthorized
			}
			return transport.Grant{Principal: "ann", Expires: time.Now().Add(time.Hour)}, nil
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := transport.Accept(w, r, opts)
		if err != nil {
			fmt.Println(err)
			return // Accept has answered the request
		}
		info := conn.Info()
		fmt.Println(info.Kind, info.Client, info.Subprotocol, info.Principal)
		conn.Close(transport.CodeNormal, "")
	}))
	defer server.Close()

	// What the load balancer passes on of a page that offers two subprotocols.
	req, err := http.NewRequest("GET", server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
		"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "chat.example.com",
		"Origin": "https://chat.example.com",
	} {
		req.Header.Set(name, value)
	}
	for _, token := range []string{"open-barley", "open-sesame"} {
		req.Header.Set("Sec-WebSocket-Protocol", "chat.v1, "+transport.BearerSubprotocol(token))
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Read(make([]byte, 1)) // until the server has had its say
		resp.Body.Close()
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	// Output:
	// transport: accept: Authenticate does not know the client: unauthorized (answered 401)
	// wss 192.0.2.7 chat.v1 ann
}

// A server behind a load balancer that passes connections on as they are, and says
// in front of each whose it is.
func ExampleListenProxy() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	proxied, err := transport.ListenProxy(listener, transport.ProxyProtocol{
		Hops: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, // the load balancer
	})
	if err != nil {
		log.Fatal(err)
	}
	defer proxied.Close()

	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	fmt.Fprint(client, "PROXY TCP4 192.0.2.7 198.51.100.1 4321 443\r\nhello")

	conn, err := proxied.Accept() // what http.Server.Serve does
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Println(conn.RemoteAddr())
	// Output: 192.0.2.7:4321
}
