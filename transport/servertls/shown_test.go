//go:build !js

package servertls

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// meet makes a handshake in memory, which works in a synctest bubble.
func meet(t *testing.T, w *Watcher, config *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	a, b := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		answer(tls.Server(b, w.TLSConfig()))
	}()
	s, err := shake(a, config)
	<-done
	return s, err
}

func pairOf(i *issued) *tls.Certificate {
	c := must(tls.X509KeyPair(i.cert, i.key))
	return &c
}

func lasting(d time.Duration) func(*x509.Certificate) {
	return func(t *x509.Certificate) {
		t.DNSNames, t.IPAddresses, t.NotAfter = []string{"issued.example"}, nil, time.Now().Add(d)
	}
}

// The Watcher does not warn of a certificate that was renewed while no client connected. It
// warns of one that GetCertificate still shows.
func TestNoAlarmOfWhatIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority()
		var current atomic.Pointer[tls.Certificate]
		current.Store(pairOf(ca.issue(lasting(90 * dayLong))))
		var events recorder
		w := watch(t, Options{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Load(), nil }, Interval: time.Hour, Notify: events.add})
		config := &tls.Config{RootCAs: ca.pool(), ServerName: "issued.example"}
		if _, err := meet(t, w, config); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * dayLong)
		current.Store(pairOf(ca.issue(lasting(90 * dayLong))))
		time.Sleep(50 * dayLong)
		synctest.Wait()
		events.expect(t)
		if e := w.Expiries(); len(e) != 1 || e[0].Left < 39*dayLong {
			t.Errorf("the gauge shows %+v", e)
		}
		time.Sleep(50 * dayLong) // this one is not renewed
		synctest.Wait()
		events.expect(t, Expiring, Expiring, Expiring, Expiring)
		w.Close()
	})
}

// A call that does not return delays neither the looks at the files nor the warning.
func TestAnAlarmDoesNotWaitForGetCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority()
		cert, free := pairOf(ca.issue(lasting(90*dayLong))), make(chan struct{})
		var hang atomic.Bool
		var events recorder
		w := watch(t, Options{Interval: time.Hour, Notify: events.add, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hang.Load() {
				<-free
			}
			return cert, nil
		}})
		meet(t, w, &tls.Config{RootCAs: ca.pool(), ServerName: "issued.example"})
		hang.Store(true)
		time.Sleep(100 * dayLong)
		synctest.Wait()
		events.expect(t, Expiring, Expiring, Expiring, Expiring)
		close(free)
		w.Close()
	})
}

// The gauge shows the current certificate of each name and kind of key, even if it expires
// before the one that was shown earlier.
func TestTheGaugeHasWhatIsShown(t *testing.T) {
	ca := newAuthority()
	long, short := pairOf(ca.issue(lasting(90*dayLong))), pairOf(ca.issue(lasting(20*dayLong)))
	legacy := pairOf(ca.certify(must(rsa.GenerateKey(rand.Reader, 2048)), lasting(50*dayLong)))
	current := long
	w := watch(t, Options{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.SupportsCertificate(current) != nil {
			return legacy, nil
		}
		return current, nil
	}})
	config := &tls.Config{RootCAs: ca.pool(), ServerName: "issued.example"}
	visits := func(configs ...*tls.Config) {
		for _, c := range configs {
			if _, err := meet(t, w, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	visits(config)
	current = short
	visits(config, &tls.Config{RootCAs: ca.pool(), ServerName: "issued.example", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}})
	e := w.Expiries()
	if len(e) != 2 || e[0].KeyType != "ECDSA" || e[0].Left > 20*dayLong || e[1].KeyType != "RSA" || e[1].Left < 40*dayLong {
		t.Errorf("the gauge shows %+v", e)
	}
}

// A listed certificate counts before any client has seen it, and stops counting when it is
// no longer listed.
func TestListedCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority()
		cert := pairOf(ca.issue(lasting(40 * dayLong)))
		var list atomic.Pointer[[]*tls.Certificate]
		list.Store(&[]*tls.Certificate{cert})
		var events recorder
		w := watch(t, Options{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil },
			Certificates: func() []*tls.Certificate { return *list.Load() }, Interval: time.Hour, Notify: events.add})
		if e := w.Expiries(); len(e) != 1 || e[0].Name != "issued.example" {
			t.Errorf("the gauge shows %+v", e)
		}
		time.Sleep(35 * dayLong)
		synctest.Wait()
		events.expect(t, Expiring)
		meet(t, w, &tls.Config{RootCAs: ca.pool(), ServerName: "issued.example"})
		list.Store(new([]*tls.Certificate))
		time.Sleep(35 * dayLong)
		synctest.Wait()
		events.expect(t, Expiring)
		w.Close()
	})
}

// A clock that was ahead for a moment does not use up a warning.
func TestWarningsAfterAWrongClock(t *testing.T) {
	leaf := pairOf(newAuthority().issue(nil)).Leaf
	e, now := newExpiring(leaf, ""), time.Now()
	var got []bool
	for _, days := range []time.Duration{10, 400, 10, 61, 61, 84, 90} {
		got = append(got, e.due(now.Add(days*dayLong)))
	}
	if want := []bool{false, true, false, true, false, true, true}; !slices.Equal(got, want) {
		t.Errorf("due %v, want %v", got, want)
	}
}
