//go:build !js

package servertls

import (
	"bytes"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAChangeIsTakenAtTheSecondLook writes a pair file by file.
func TestAChangeIsTakenAtTheSecondLook(t *testing.T) {
	files := newFolder(t)
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority()
		var events recorder
		w := watch(t, Options{Pairs: []Pair{files.put(ca.issue(nil))}, Interval: 10 * time.Second, Notify: events.add})
		start := time.Now()
		at := func(seconds float64) {
			time.Sleep(time.Until(start.Add(time.Duration(seconds * float64(time.Second)))))
			synctest.Wait()
		}
		next := ca.issue(nil)
		at(9.5)
		files.write("tls.crt", next.cert)
		at(10.5) // the first look has seen half of the change
		files.write("tls.key", next.key)
		at(11.5) // the second one something else
		events.expect(t, Loaded)
		at(12.5)
		events.expect(t, Loaded, Loaded)
		if got := w.current.Load().pairs[0].leaf.SerialNumber.Int64(); got != next.serial {
			t.Errorf("serial %d, want %d", got, next.serial)
		}

		bad := ca.issue(nil).key
		files.write("tls.key", bad) // and stays so
		at(22.5)
		events.expect(t, Loaded, Loaded)
		at(24.5)
		events.expect(t, Loaded, Loaded, Refused)
		at(200)
		events.expect(t, Loaded, Loaded, Refused) // reported once
		files.write("tls.key", next.key)
		at(300)
		events.expect(t, Loaded, Loaded, Refused) // the files have what is in use already
		files.write("tls.key", bad)
		at(350)
		events.expect(t, Loaded, Loaded, Refused, Refused) // it came back
		if err := os.Remove(files.file("tls.key")); err != nil {
			t.Fatal(err)
		}
		at(400)
		events.expect(t, Loaded, Loaded, Refused, Refused, Refused)
		if err := w.Reload(); err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("Reload gave %v", err)
		}
		w.Close()
		files.write("tls.key", next.key)
		w.Close()
	})
}

// A Watcher refuses a pair that is not valid yet, and takes it once it is valid, although
// nobody touches the files.
func TestATimeThatComes(t *testing.T) {
	files := newFolder(t)
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority()
		var events recorder
		w := watch(t, Options{Pairs: []Pair{files.put(ca.issue(nil))}, Interval: time.Minute, Notify: events.add})
		files.put(ca.issue(func(t *x509.Certificate) { t.NotBefore = time.Now().Add(24 * time.Hour) }))
		time.Sleep(23 * time.Hour)
		synctest.Wait()
		events.expect(t, Loaded, Refused)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		events.expect(t, Loaded, Refused, Loaded)
		w.Close()
	})
}

func TestWarningsBeforeTheEnd(t *testing.T) {
	for name, row := range map[string]struct {
		life time.Duration
		want []time.Duration // how long is left when it is reported
	}{
		"90 days":       {90 * dayLong, []time.Duration{30 * dayLong, 7 * dayLong, dayLong, 0}},
		"47 days":       {47 * dayLong, []time.Duration{7 * dayLong, dayLong, 0}},
		"6 days":        {6 * dayLong, []time.Duration{dayLong, 0}},
		"a day":         {dayLong, []time.Duration{0}},
		"began earlier": {5*dayLong + time.Hour, []time.Duration{5*dayLong + time.Hour, dayLong, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			files := newFolder(t)
			synctest.Test(t, func(t *testing.T) {
				ca := newAuthority()
				cert := ca.issue(func(t *x509.Certificate) {
					t.NotBefore, t.NotAfter = time.Now(), time.Now().Add(row.life)
					if name == "began earlier" {
						t.NotBefore = time.Now().Add(-85 * dayLong)
					}
				})
				var events recorder
				log := new(bytes.Buffer)
				w := watch(t, Options{Pairs: []Pair{files.put(cert)}, Interval: time.Hour, Logger: slog.New(slog.NewTextHandler(log, nil)), Notify: events.add})
				if left := w.Expiries(); len(left) != 1 || left[0].Left != row.life || left[0].Name != "localhost" || left[0].File != files.file("tls.crt") {
					t.Errorf("expiries %+v", left)
				}
				time.Sleep(row.life + 10*dayLong)
				synctest.Wait()
				if left := w.Expiries()[0].Left; left != -10*dayLong {
					t.Errorf("in the end the gauge says %v", left)
				}
				w.Close()
				var got []time.Duration
				for _, e := range events.all() {
					if e.Kind == Expiring {
						got = append(got, e.Certificate.Left)
					}
				}
				if len(got) != len(row.want) {
					t.Fatalf("warned with %v left, want %v", got, row.want)
				}
				for i := range got {
					if got[i] > row.want[i] || got[i] < row.want[i]-time.Hour {
						t.Errorf("warned with %v left, want %v", got, row.want)
					}
				}
				text := log.String()
				if !strings.Contains(text, `level=ERROR msg="servertls: a certificate has expired, clients refuse it"`) ||
					strings.Count(text, "a certificate expires soon") != len(row.want)-1 {
					t.Errorf("the log says:\n%s", text)
				}
			})
		})
	}
}

func TestANewCertificateIsWarnedOfAnew(t *testing.T) {
	files := newFolder(t)
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority()
		var events recorder
		w := watch(t, Options{Pairs: []Pair{files.put(ca.issue(nil))}, Interval: time.Hour, Notify: events.add})
		for range 3 {
			time.Sleep(70 * dayLong)
			files.put(ca.issue(nil))
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		w.Close()
		events.expect(t, Loaded, Expiring, Loaded, Expiring, Loaded, Expiring, Loaded)
	})
}

func TestANotifyThatPanicsHurtsNobody(t *testing.T) {
	files, ca := newFolder(t), newAuthority()
	log := new(bytes.Buffer)
	w := watch(t, Options{Pairs: []Pair{files.put(ca.issue(nil))}, Logger: slog.New(slog.NewTextHandler(log, nil)),
		Notify: func(Event) { panic("a bug\x1b[2J") }})
	next := ca.issue(nil)
	files.put(next)
	if err := w.Reload(); err != nil || w.current.Load().pairs[0].leaf.SerialNumber.Int64() != next.serial {
		t.Errorf("error %v, and the new pair is in use: %v", err, err == nil)
	}
	if !strings.Contains(log.String(), "servertls: Notify panicked") || strings.Contains(log.String(), "\x1b") {
		t.Errorf("the log says:\n%s", log)
	}
}

func TestA42LogsShowNoKey(t *testing.T) {
	files, ca := newFolder(t), newAuthority()
	log := new(bytes.Buffer)
	good := ca.issue(nil)
	w := watch(t, Options{Pairs: []Pair{files.put(good)}, Logger: slog.New(slog.NewTextHandler(log, nil))})
	files.write("tls.key", good.key[:len(good.key)-30])
	if w.Reload() == nil {
		t.Error("half a key was taken")
	}
	files.write("tls.crt", good.key)
	if w.Reload() == nil {
		t.Error("a key was taken for a certificate")
	}
	if text := log.String(); strings.Count(text, "level=ERROR") != 2 || strings.Contains(text, string(good.key[40:56])) {
		t.Errorf("the log says:\n%s", text)
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	files, ca := newFolder(t), newAuthority()
	pairs := []Pair{files.put(ca.issue(nil))}
	secret := must(NewTicketSecret(bytes.Repeat([]byte{1}, 32)))
	for want, opts := range map[string]Options{
		"servertls: there is no certificate: list its files in Pairs, or set GetCertificate": {},
		"servertls: Interval is negative":                                                                                      {Pairs: pairs, Interval: -1},
		"servertls: TicketPeriod has to be between a minute and 84 hours":                                                      {Pairs: pairs, TicketPeriod: time.Second},
		"servertls: TicketSecret and TicketFile are both given: choose one":                                                    {Pairs: pairs, TicketSecret: secret, TicketFile: "x"},
		"servertls: TicketSecret is all zero: make one with NewTicketSecret":                                                   {Pairs: pairs, TicketSecret: new(TicketSecret)},
		"servertls: ClientCertOptional needs ClientCAs, the file of those who may issue client certificates":                   {Pairs: pairs, ClientCertOptional: true},
		"servertls: " + files.file("tls.key") + ": a PEM block is a \"PRIVATE KEY\": only certificates belong there":           {Pairs: pairs, ClientCAs: pairs[0].Key},
		"servertls: " + files.write("empty", nil) + ": there is no certificate in it":                                          {Pairs: pairs, ClientCAs: files.file("empty")},
		"servertls: " + files.file("empty") + ": there are 0 secrets in it: one to 4 are needed":                               {Pairs: pairs, TicketFile: files.file("empty")},
		"servertls: " + pairs[0].Key + ": a line is not 32 bytes in base64: make one with openssl rand -base64 32":             {Pairs: pairs, TicketFile: pairs[0].Key},
		"servertls: " + files.write("half", ca.pem()[:99]) + ": the file of the authorities ends within a PEM block: it has n": {Pairs: pairs, ClientCAs: files.file("half")},
	} {
		opts.Logger = quiet
		if w, err := Watch(opts); err == nil {
			w.Close()
			t.Errorf("no error, want %s", want)
		} else if !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	if _, err := NewTicketSecret(make([]byte, 31)); err == nil {
		t.Error("31 bytes were taken for a secret")
	}
}

// One error reports everything that is bad.
func TestAllThatIsRefused(t *testing.T) {
	_, err := Watch(Options{Logger: quiet, Pairs: []Pair{{Cert: "/no/a", Key: "/no/b"}, {Cert: "/no/c", Key: "/no/d"}}})
	if err == nil || !strings.Contains(err.Error(), "/no/a with /no/b") || !strings.Contains(err.Error(), "/no/c with /no/d") || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
