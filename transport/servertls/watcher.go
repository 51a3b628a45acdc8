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

// A Watcher keeps a server's TLS at what is in the files. It may be used by many
// servers and goroutines at once.
type Watcher struct {
	opts    Options
	current atomic.Pointer[configs]
	shown   otherSet

	stop chan struct{} // closed by Close
	done chan struct{} // closed when the goroutine has ended
	once sync.Once

	mu        sync.Mutex // guards what follows, and makes looks take turns
	bundles   []*bundle
	pairs     []*pair
	clientCAs *x509.CertPool
	secrets   []TicketSecret
	period    int64 // whose ticket keys are in use
}

// A pair is one that is loaded.
type pair struct {
	cert       *tls.Certificate
	incomplete error // what it lacks
	expiring
}

// Watch loads everything and looks at the files from then on, until Close. It
// fails if anything is bad: at the start there is nothing to fall back on.
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

// plan lists what is to be read.
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

// into leaves dst alone if b is bad.
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

// Reload looks at once, which is what a program does on SIGHUP. Unlike the looks
// that are made from time to time it takes what it finds without a second look, so
// it belongs after whatever writes the files. The error tells everything that was
// refused; what was not is in use.
func (w *Watcher) Reload() error {
	_, err := w.look(true)
	return err
}

// Close ends the looking. Servers and their connections go on with what was loaded
// last.
func (w *Watcher) Close() {
	w.once.Do(func() { close(w.stop) })
	<-w.done
}

// Expiries returns how long each of the pairs is good for, in the order of
// Options.Pairs, and then each of those that GetCertificate would show now, by name
// and kind of key: those that Options.Certificates lists, or else those that were
// shown since the start. It does not wait for files, so a gauge may ask whenever it
// is read.
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
		pause, _ := w.look(false) // what it refuses it has told
		timer.Reset(pause)
	}
}

// look takes what is new and tells of it, and returns the time until the next
// look.
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

// takeNew looks at all files.
func (w *Watcher) takeNew(now bool) (events []Event, errs []error, pause time.Duration) {
	pause = w.opts.Interval
	for i, b := range w.bundles {
		switch what, err := b.look(now); what {
		case unsettled:
			pause = min(pause, settle)
		case refused:
			errs = append(errs, err)
			events = append(events, Event{Kind: Refused, Files: b.files, Err: err})
		case taken:
			e := Event{Kind: Loaded, Files: b.files}
			if i < len(w.pairs) { // theirs are the first bundles
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

// turnTickets reports whether the tickets' period is another one than before, and
// when it ends.
func (w *Watcher) turnTickets() (turned bool, left time.Duration) {
	if len(w.secrets) == 0 {
		return false, w.opts.Interval
	}
	number, end := periodAt(time.Now(), w.opts.TicketPeriod)
	turned, w.period = number != w.period, number
	return turned, time.Until(end)
}

// warnings returns what is due about certificates that expire.
func (w *Watcher) warnings() (events []Event) {
	now := time.Now()
	for i, p := range w.pairs {
		if p.due(now) {
			events = append(events, Event{Kind: Expiring, Files: w.bundles[i].files, Certificate: p.at(now)})
		}
	}
	w.others(now) // what is listed may have changed
	warn, ask := w.shown.due(now)
	for _, e := range warn {
		events = append(events, Event{Kind: Expiring, Certificate: &e})
	}
	for _, o := range ask {
		go w.ask(o)
	}
	return events
}
