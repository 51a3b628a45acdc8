//go:build !js

package servertls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Watcher keeps a server's TLS up to date with its files. Many servers and goroutines
// may use it at once.
type Watcher struct {
	opts    Options
	current atomic.Pointer[configs]
	shown   otherSet

	stop chan struct{} // closed by Close
	done chan struct{} // closed when the goroutine has ended
	once sync.Once

	mu        sync.Mutex // guards what follows, and allows one look at a time
	bundles   []*bundle
	pairs     []*pair
	clientCAs *x509.CertPool
	secrets   []TicketSecret
	period    int64 // the number of the period whose ticket keys are in use
}

// A pair is a loaded certificate with its key.
type pair struct {
	cert       *tls.Certificate
	incomplete error // the intermediate certificate that its file lacks, or nil
	expiring
}

// Watch loads all files and then watches them until Close. It fails if one of them is
// bad: at the start there are no older contents to keep.
func Watch(opts Options) (*Watcher, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	w := &Watcher{opts: opts, stop: make(chan struct{}), done: make(chan struct{})}
	w.plan()
	pause, err := w.look(true)
	if err != nil {
		return nil, err
	}
	go w.run(pause)
	return w, nil
}

// plan lists the files to read and what takes their contents.
func (w *Watcher) plan() {
	for i, p := range w.opts.Pairs {
		w.pairs = append(w.pairs, nil)
		w.add(func(b [][]byte) error { return w.takePair(i, b[0], b[1]) }, p.Cert, p.Key)
	}
	if w.opts.ClientCAs != "" {
		w.add(func(b [][]byte) error { return into(&w.clientCAs, parseCAs, b[0]) }, w.opts.ClientCAs)
	}
	if w.opts.TicketFile != "" {
		w.add(func(b [][]byte) error { return into(&w.secrets, parseTicketSecrets, b[0]) }, w.opts.TicketFile)
	}
	if w.opts.TicketSecret != nil {
		w.secrets = []TicketSecret{*w.opts.TicketSecret}
	}
}

func (w *Watcher) add(take func([][]byte) error, files ...string) {
	w.bundles = append(w.bundles, &bundle{files: files, take: take})
}

// into sets dst to the value in b, or leaves dst alone if b is bad.
func into[T any](dst *T, parse func([]byte) (T, error), b []byte) error {
	v, err := parse(b)
	if err == nil {
		*dst = v
	}
	return err
}

func (w *Watcher) takePair(i int, cert, key []byte) error {
	p := w.opts.Pairs[i]
	loaded, err := parsePair(cert, key, p.Names, time.Now())
	if err != nil {
		return err
	}
	broken := checkChain(loaded)
	if old := w.pairs[i]; broken != nil && old != nil && checkChain(old.cert) == nil {
		return broken
	}
	if !likelyMissed(loaded) {
		broken = nil
	}
	w.pairs[i] = &pair{cert: loaded, incomplete: broken, expiring: newExpiring(loaded.Leaf, p.Cert)}
	return nil
}

// Reload reads the files at once, for example on SIGHUP. Unlike the periodic reads it uses
// what it finds without reading a second time, so call it after the files are written. The
// error lists everything that it refused; the rest is in use.
func (w *Watcher) Reload() error {
	_, err := w.look(true)
	return err
}

// Close stops watching the files. Servers and their connections go on with what was
// loaded last.
func (w *Watcher) Close() {
	w.once.Do(func() { close(w.stop) })
	<-w.done
}

// Expiries returns when each of the pairs expires, in the order of Options.Pairs. Then
// follow the certificates that GetCertificate would show now, ordered by name and kind of
// key: those that Options.Certificates lists, or without it those that were shown since
// the start. Expiries does not wait for files, so a gauge may call it on every read.
func (w *Watcher) Expiries() []Expiry {
	var out []Expiry
	now := time.Now()
	for _, p := range w.current.Load().pairs {
		out = append(out, *p.at(now))
	}
	return append(out, w.others(now)...)
}

func (w *Watcher) run(pause time.Duration) {
	defer close(w.done)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-timer.C:
		}
		pause, _ := w.look(false) // it has reported what it refused
		timer.Reset(pause)
	}
}

// look uses new contents, reports events, and returns the time until the next look.
func (w *Watcher) look(now bool) (pause time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	events, errs, pause := w.takeNew(now)
	if w.current.Load() == nil && len(errs) > 0 {
		return 0, errors.Join(errs...) // the start failed
	}
	moved, left := w.turnTickets()
	if moved || w.current.Load() == nil || slices.ContainsFunc(events, func(e Event) bool { return e.Kind == Loaded }) {
		w.publish()
	}
	for _, e := range append(events, w.warnings()...) {
		w.tell(e)
	}
	return min(pause, left), errors.Join(errs...)
}

// takeNew looks at all files and takes what is new. If now is true, it waits for no
// second look.
func (w *Watcher) takeNew(now bool) (events []Event, errs []error, pause time.Duration) {
	pause = w.opts.Interval
	for i, b := range w.bundles {
		switch what, err := b.look(now); what {
		case unsettled:
			pause = min(pause, confirmAfter)
		case refused:
			errs = append(errs, err)
			events = append(events, Event{Kind: Refused, Files: b.files, Err: err})
		case taken:
			e := Event{Kind: Loaded, Files: b.files}
			if i < len(w.pairs) { // the first bundles are those of the pairs
				e.Certificate = w.pairs[i].at(time.Now())
			}
			events = append(events, e)
			if i < len(w.pairs) && w.pairs[i].incomplete != nil {
				events = append(events, Event{Kind: Incomplete, Files: b.files, Err: w.pairs[i].incomplete, Certificate: e.Certificate})
			}
		}
	}
	return events, errs, pause
}

// turnTickets reports whether a new ticket period has begun, and returns the time that is
// left of it.
func (w *Watcher) turnTickets() (turned bool, left time.Duration) {
	if len(w.secrets) == 0 {
		return false, w.opts.Interval
	}
	number, end := periodAt(time.Now(), w.opts.TicketPeriod)
	turned, w.period = number != w.period, number
	return turned, time.Until(end)
}

// warnings returns the warnings that are due, and begins the calls of GetCertificate that
// are due.
func (w *Watcher) warnings() (events []Event) {
	now := time.Now()
	for i, p := range w.pairs {
		if p.due(now) {
			events = append(events, Event{Kind: Expiring, Files: w.bundles[i].files, Certificate: p.at(now)})
		}
	}
	w.others(now) // Options.Certificates may list others now
	warn, ask := w.shown.due(now)
	for _, e := range warn {
		events = append(events, Event{Kind: Expiring, Certificate: &e})
	}
	for _, o := range ask {
		go w.ask(o)
	}
	return events
}
