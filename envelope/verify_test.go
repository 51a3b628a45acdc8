package envelope

import (
	"bytes"
	"errors"
	"testing"

	"github.com/hopseal/hopseal/internal/slowtest"
)

// gateway returns what a gateway knows of a link: nothing that is secret.
func (l *link) gateway() *Verifier {
	return &Verifier{From: l.Opener.From, ToParty: l.Sealer.ToParty, Context: l.Opener.Context}
}

// A10: a gateway accepts exactly what the sender signed. No key that reads is
// near it.
func TestA10VerifyWithoutReading(t *testing.T) {
	for _, l := range links(t)[1:] {
		v := l.gateway()
		sealed, streamed := seal(t, &l.Sealer, "message"), sealStream(t, &l.Sealer, content(2*segmentData))
		h, err := v.Verify(sealed)
		if err != nil || h.Sender != l.Opener.From.Fingerprint() || h.Context != l.Opener.Context {
			t.Fatalf("%s: %+v, %v", l.name, h, err)
		}
		if _, err := v.VerifyStream(bytes.NewReader(streamed)); err != nil {
			t.Fatalf("%s: a stream: %v", l.name, err)
		}
		refused := func(b, s []byte, what ...any) {
			t.Helper()
			if b != nil {
				if _, err := v.Verify(b); !errors.Is(err, ErrOpen) {
					t.Errorf("%s: %v: %v", l.name, what, err)
				}
			}
			if s != nil {
				if _, err := v.VerifyStream(bytes.NewReader(s)); !errors.Is(err, ErrOpen) {
					t.Errorf("%s: %v: stream: %v", l.name, what, err)
				}
			}
		}
		step := 1
		if slowtest.Mode {
			step = 5
		}
		for i := 0; i < len(sealed); i += step {
			sealed[i] ^= 4
			refused(sealed, nil, "byte", i)
			sealed[i] ^= 4
			refused(sealed[:i], nil, "prefix", i)
		}
		for i := 0; i < len(streamed); i += max(1, len(streamed)/300) {
			streamed[i] ^= 4
			refused(nil, streamed, "byte", i)
			streamed[i] ^= 4
			refused(nil, streamed[:i], "prefix", i)
		}
		refused(append(bytes.Clone(sealed), 0), append(bytes.Clone(streamed), 0), "extension")
		refused(streamed, sealed, "one as the other")
	}
}

func TestVerifierExpectations(t *testing.T) {
	for _, l := range links(t)[1:] {
		sealed, streamed := seal(t, &l.Sealer, "message"), sealStream(t, &l.Sealer, nil)
		for name, c := range map[string]struct {
			change func(*Verifier)
			want   Reason
		}{
			"another sender":  {func(v *Verifier) { v.From = identity(t, "eve").Public() }, ReasonSender},
			"another context": {func(v *Verifier) { v.Context += "x" }, ReasonContext},
			"too large":       {func(v *Verifier) { v.MaxSize = 100 }, ReasonSize},
			"another suite": {func(v *Verifier) {
				if v.ToParty == "" {
					v.ToParty = "x"
				} else {
					v.ToParty = ""
				}
			}, ReasonSuite},
		} {
			v := l.gateway()
			c.change(v)
			_, err := v.Verify(sealed)
			_, streamErr := v.VerifyStream(bytes.NewReader(streamed))
			if ReasonOf(err) != c.want || ReasonOf(streamErr) != c.want {
				t.Errorf("%s, %s: %v, %v, want %v", l.name, name, ReasonOf(err), ReasonOf(streamErr), c.want)
			}
		}
	}
	// What is MACed is not for gateways, whatever they say.
	l := links(t)[0]
	signer := links(t)[1]
	for _, toParty := range []string{"", l.Sealer.ToParty} {
		v := Verifier{From: signer.Opener.From, Context: l.Opener.Context, ToParty: toParty}
		if _, err := v.Verify(seal(t, &l.Sealer, "m")); ReasonOf(err) != ReasonSuite {
			t.Errorf("an HMAC: %v", err)
		}
	}
	if _, err := new(Verifier).Verify(seal(t, &l.Sealer, "m")); err == nil || errors.Is(err, ErrOpen) {
		t.Errorf("the zero Verifier: %v", err)
	}
}
