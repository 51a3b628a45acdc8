package envelope

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"testing"
)

// A failure is what one API answers to one cause.
type failure struct {
	suite Suite
	api   string
	want  Reason
	err   error
}

// failures runs every attack that has a reason of its own against every API that
// can meet it, in every suite.
func failures(t *testing.T) (out []failure) {
	all := kits(t)
	for i, k := range all {
		note := func(want Reason, k *kit, o *Opener) {
			out = append(out, k.failures(t, want, o)...)
		}
		copyOf := func() *kit { c := *k; return &c }
		change := func(f func(o *Opener)) *Opener { o := k.opener(); f(o); return o }
		cut := copyOf()
		cut.sealed.proof, cut.head.proof, cut.final = k.sealed.proof[1:], k.head.proof[1:], nil
		note(ReasonMalformed, cut, k.opener())
		note(ReasonSuite, all[[]int{1, 2, 0, 1, 2}[i]], k.opener())
		note(ReasonSender, k, change(func(o *Opener) {
			if o.FromParty == "a" {
				o.FromParty = "c"
			} else {
				o.From = identity(t, "eve").Public()
			}
		}))
		note(ReasonReflected, k, change(func(o *Opener) {
			if k.suite == SuiteShared {
				o.Party, o.FromParty = "a", "b"
			} else {
				o.Identity = k.Sealer.From
			}
		}))
		note(ReasonContext, k, change(func(o *Opener) { o.Context = "another" }))
		forged := copyOf()
		forged.sealed.proof, forged.head.proof = make([]byte, len(k.sealed.proof)), make([]byte, len(k.sealed.proof))
		note(ReasonProof, forged, k.opener())
		if k.suite != SuiteShared {
			note(ReasonExpired, late(t, k), k.opener())
			note(ReasonUnlisted, copyOf().rehead(func(h *Header) { h.ProofKey[0] ^= 1 }), k.opener())
		}
		note(ReasonNotForUs, k, change(func(o *Opener) {
			if o.Shared != nil {
				o.Shared = sharedKeyset(t)
			} else {
				o.Identity = identity(t, "dave")
			}
		}))
		bad := copyOf()
		bad.sealed.body, bad.segment = flipped(k.sealed.body), flipped(k.segment)
		bad.prove(t)
		note(ReasonBody, bad, k.opener())
		if k.suite == SuiteRecipients {
			wrong := copyOf()
			wrong.sealed.recipients, wrong.head.recipients = flipped(k.sealed.recipients), flipped(k.head.recipients)
			wrong.prove(t)
			note(ReasonKey, wrong, k.opener())
		}
		note(ReasonTime, k, change(func(o *Opener) { o.Replay = NewReplayGuard() }))
		note(ReasonSize, k, change(func(o *Opener) { o.MaxSize = 100 }))
		guard := anyTime()
		for _, sealed := range []func(o *Opener) error{
			func(o *Opener) error { _, _, err := o.Open(nil, k.envelope()); return err },
		} {
			if err := sealed(change(func(o *Opener) { o.Replay = guard })); err != nil {
				t.Fatal(err)
			}
		}
		note(ReasonReplay, k, change(func(o *Opener) { o.Replay = guard }))
		for _, b := range [][2][]byte{{withVersion(k.envelope(), 2), withVersion(k.stream(), 2)}} {
			out = append(out, openAll(k.suite, ReasonVersion, k.opener(), k.gateway(), b[0], b[1])...)
		}
	}
	return append(out, retiredFailures(t)...)
}

// late returns what a sender makes whose statement, as the Opener has it, has expired.
func late(t *testing.T, k *kit) *kit {
	c := *k
	h, _, err := parse(k.envelope(), k.opener().FromParty, k.Sealer.Context)
	if err != nil {
		t.Fatal(err)
	}
	h.Time = k.Sealer.From.Public().Expires()
	c.sealed.header = h.append(nil)
	c.head = newStreamHead(&h)
	c.head.recipients = k.head.recipients
	c.prove(t)
	return &c
}

func flipped(b []byte) []byte { b = bytes.Clone(b); b[len(b)-1] ^= 1; return b }

func withVersion(b []byte, v byte) []byte { b[1] = v; return b }

// failures gives both messages of a kit to an Opener and to whoever shares its
// expectations.
func (k *kit) failures(_ *testing.T, want Reason, o *Opener) []failure {
	v := &Verifier{From: o.From, Context: o.Context, MaxSize: o.MaxSize, ToParty: o.Party}
	return openAll(k.suite, want, o, v, k.envelope(), k.stream())
}

func openAll(suite Suite, want Reason, o *Opener, v *Verifier, sealed, streamed []byte) (out []failure) {
	_, _, err := o.Open(nil, sealed)
	out = append(out, failure{suite, "Open", want, err})
	_, err = openStream(o, streamed)
	out = append(out, failure{suite, "NewReader", want, err})
	_, err = o.NewReaderAt(bytes.NewReader(streamed), int64(len(streamed)))
	out = append(out, failure{suite, "NewReaderAt", want, err})
	if v.From == nil {
		return out
	}
	switch want {
	case ReasonMalformed, ReasonVersion, ReasonSuite, ReasonSender, ReasonContext, ReasonProof, ReasonSize, ReasonExpired, ReasonUnlisted:
		_, err = v.Verify(sealed)
		out = append(out, failure{suite, "Verify", want, err})
		_, err = v.VerifyStream(bytes.NewReader(streamed))
		out = append(out, failure{suite, "VerifyStream", want, err})
	}
	if o.Identity == nil || o.Shared != nil || o.MaxSize > 0 {
		return out
	}
	s := Sealer{From: o.Identity, To: nil, Context: o.Context}
	s.To = append(s.To, o.Identity.Public())
	_, err = s.Rewrap(nil, sealed) // of another's message
	out = append(out, failure{suite, "Rewrap", 0, err})
	out = append(out, failure{suite, "RewrapStream", 0, s.RewrapStream(io.Discard, bytes.NewReader(streamed))})
	return out
}

// A37: whatever the cause and whichever the API, one text comes out, in every form
// in which a program may print, log or encode it. Only ReasonOf tells the causes
// apart.
func TestA37OneErrorEverywhere(t *testing.T) {
	met := map[string]map[Reason]bool{}
	var forms []string
	for _, f := range failures(t) {
		got := ReasonOf(f.err)
		if !errors.Is(f.err, ErrOpen) || got == 0 || f.want != 0 && got != f.want {
			if f.api == "Rewrap" || f.api == "RewrapStream" {
				if f.err == nil {
					continue // its own message, after all
				}
			}
			t.Errorf("suite %d, %s: %v (%v), want %v", f.suite, f.api, f.err, got, f.want)
			continue
		}
		if met[f.api] == nil {
			met[f.api] = map[Reason]bool{}
		}
		met[f.api][got] = true
		if forms == nil {
			forms = formsOf(t, f.err)
		}
		for i, form := range formsOf(t, f.err) {
			if form != forms[i] {
				t.Errorf("suite %d, %s, %v: form %d is %q, else %q", f.suite, f.api, got, i, form, forms[i])
			}
			for r := ReasonMalformed; int(r) < len(reasonTexts); r++ {
				if strings.Contains(form, r.String()) {
					t.Errorf("suite %d, %s: form %d tells the reason: %q", f.suite, f.api, i, form)
				}
			}
		}
	}
	for _, api := range []string{"Open", "NewReader", "NewReaderAt"} {
		for r := ReasonMalformed; int(r) < len(reasonTexts); r++ {
			if !met[api][r] && (r != ReasonRetired || retiredFailures(t) != nil) {
				t.Errorf("%s never gave %v", api, r)
			}
		}
	}
	for _, api := range []string{"Verify", "VerifyStream"} {
		if len(met[api]) != 9 {
			t.Errorf("%s gave %v", api, met[api])
		}
	}
	if len(met["Rewrap"]) < 3 || len(met["RewrapStream"]) < 3 {
		t.Errorf("Rewrap gave %v and %v", met["Rewrap"], met["RewrapStream"])
	}
}

// addresses are where errors stand in memory, anew each time.
var addresses = regexp.MustCompile(`0[xX][0-9a-fA-F]+|[0-9a-fA-F]{6,}`)

// formsOf prints an error in every way.
func formsOf(t *testing.T, err error) (out []string) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%t", "%b", "%T", "%10.2v", "% x", "%w"} {
		out = append(out, fmt.Sprintf(verb, err), fmt.Sprintf("%v", fmt.Errorf("opening: "+verb, err)))
	}
	type logged struct{ Err, hidden error }
	for _, v := range []any{err, logged{err, err}, &logged{err, err}, []error{err}, map[string]error{"e": err}} {
		out = append(out, fmt.Sprintf("%v %+v %#v %s %d %x %q", v, v, v, v, v, v, v))
		b, failed := json.Marshal(v)
		if failed != nil {
			t.Fatal(failed)
		}
		out = append(out, string(b))
	}
	var log bytes.Buffer
	options := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, options), slog.NewJSONHandler(&log, options)} {
		slog.New(h).Error("opening", "err", err, "wrapped", fmt.Errorf("x: %w", err), "in", logged{err, err})
	}
	out = append(out, log.String(), errors.Join(err, io.EOF).Error())
	if errors.Unwrap(err) != nil {
		out = append(out, errors.Unwrap(err).Error())
	}
	for i := range out {
		out[i] = addresses.ReplaceAllString(out[i], "address")
	}
	return out
}

// A37: what stands behind a failure says nothing either: no data, no header, no
// reader, and a ReaderAt whose source changed has the one text too.
func TestA37FailuresCarryNothing(t *testing.T) {
	for _, l := range links(t) {
		sealed := sealStream(t, &l.Sealer, content(2*segmentData))
		at, err := l.Opener.NewReaderAt(bytes.NewReader(sealed), int64(len(sealed)))
		if err != nil {
			t.Fatal(err)
		}
		sealed[at.start] ^= 1
		sealed[at.start+segmentSize] ^= 1
		for _, off := range []int64{0, 2*segmentData - 1} {
			if n, err := at.ReadAt(make([]byte, 1), off); n != 0 || fmt.Sprint(err) != ErrOpen.Error() || ReasonOf(err) != ReasonBody {
				t.Errorf("%s: ReadAt(%d): %d, %v (%v)", l.name, off, n, err, ReasonOf(err))
			}
		}
		if r, err := l.Opener.NewReader(bytes.NewReader(sealed[:100])); r != nil || ReasonOf(err) == 0 {
			t.Errorf("%s: NewReader: %v, %v", l.name, r, err)
		}
		if r, err := l.Opener.NewReaderAt(bytes.NewReader(sealed), int64(len(sealed))); r != nil || ReasonOf(err) == 0 {
			t.Errorf("%s: NewReaderAt: %v, %v", l.name, r, err)
		}
		if l.Opener.From == nil {
			continue
		}
		h, err := l.gateway().VerifyStream(bytes.NewReader(sealed))
		if h != (Header{}) || ReasonOf(err) != ReasonProof {
			t.Errorf("%s: VerifyStream: %v, %v", l.name, h, err)
		}
		h, err = l.gateway().Verify(sealed)
		if h != (Header{}) || ReasonOf(err) == 0 {
			t.Errorf("%s: Verify: %v, %v", l.name, h, err)
		}
	}
}
