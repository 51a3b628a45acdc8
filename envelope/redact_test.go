package envelope

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/keyset"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

// marker is what an attacker looks for in logs.
const marker = "PLANTED-MARKER-0123456789"

// A42: whatever verb, logger or encoder prints what this package hands out, while
// it works and after, neither content nor key comes out.
func TestA42NothingPrintsContentOrKeys(t *testing.T) {
	for _, l := range links(t) {
		secrets := l.secrets(t)
		secrets["content"] = []byte(marker)
		var printed bytes.Buffer
		show := func(values ...any) {
			for _, v := range values {
				printEveryWay(&printed, v)
				printEveryWay(&printed, []any{v, &v})
				if reflect.TypeOf(v).Kind() == reflect.Pointer { // where fmt cannot call Format
					printEveryWay(&printed, struct{ Shown, hidden any }{v, v})
				}
				printEveryWay(&printed, fmt.Errorf("wrapped: %v", v))
			}
		}
		l.Opener.Replay, l.InsecureAllowReplay = anyTime(), false
		sealed := seal(t, &l.Sealer, strings.Repeat(marker, 10))
		got, h, err := l.Open(nil, sealed)
		if err != nil || !bytes.Contains(got, []byte(marker)) {
			t.Fatal(err)
		}
		_, _, replayed := l.Open(nil, sealed)
		show(l.Sealer, &l.Sealer, l.Opener, &l.Opener, l.gateway(), *l.gateway(), l.Opener.Replay, h, replayed)

		data := bytes.Repeat([]byte(marker), 2*segmentData/len(marker))
		var stream bytes.Buffer
		w, err := l.Sealer.NewWriter(&stream)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(data)
		show(w, *w)
		if err := w.Finish(); err != nil {
			t.Fatal(err)
		}
		show(w, *w)
		at, err := l.opener().NewReaderAt(bytes.NewReader(stream.Bytes()), int64(stream.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := at.ReadAt(make([]byte, 10), 5); err != nil {
			t.Fatal(err)
		}
		show(at)
		r, err := l.opener().NewReader(bytes.NewReader(stream.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(r.stream.data, []byte(marker)) || !bytes.Contains(at.buf[:], []byte(marker)) {
			t.Fatal("the readers hold no content: the test looks for nothing")
		}
		show(r, *r)
		io.Copy(io.Discard, r)
		show(r, *r)
		lookFor(t, l.name, printed.String(), secrets)
	}
}

// opener is the link's Opener without the memory of its guard.
func (l *link) opener() *Opener {
	o := l.Opener
	o.Replay, o.InsecureAllowReplay = nil, true
	return &o
}

func printEveryWay(out *bytes.Buffer, v any) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%X", "%s", "%q", "%d", "%b", "%t", "% x", "%10.3v"} {
		fmt.Fprintf(out, verb+"\n", v)
	}
	fmt.Fprint(out, v)
	slog.New(slog.NewTextHandler(out, nil)).Info("m", "v", v)
	slog.New(slog.NewJSONHandler(out, nil)).Info("m", "v", v)
	if b, err := json.Marshal(v); err == nil {
		out.Write(b)
	}
}

// lookFor fails where one of the secrets is printed, in any form that fmt and the
// encoders know.
func lookFor(t *testing.T, where, printed string, secrets map[string][]byte) {
	t.Helper()
	if len(printed) < 1000 {
		t.Fatal("nothing was printed")
	}
	for name, secret := range secrets {
		piece := secret[:12]
		decimal := strings.Trim(fmt.Sprint(piece[:6]), "[]")
		json, _ := json.Marshal(piece[:12])
		for _, form := range []string{string(piece), fmt.Sprintf("%x", piece[:6]), fmt.Sprintf("%X", piece[:6]),
			fmt.Sprintf("% x", piece[:6]), decimal, strings.ReplaceAll(decimal, " ", ", "), strings.ReplaceAll(decimal, " ", ","),
			strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", piece[:6]), "[]byte{"), "}"),
			strings.Trim(fmt.Sprintf("%b", piece[:3]), "[]"), strings.Trim(string(json), `"=`)} {
			if at := strings.Index(printed, form); at >= 0 {
				t.Errorf("%s: the %s is printed as %q: %.200q", where, name, form, printed[max(0, at-100):])
			}
		}
	}
}

// secrets returns the bytes of every secret key of a link.
func (l *link) secrets(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	if l.Sealer.Shared != nil {
		out["AEAD key"], out["MAC key"] = pairSecrets(t, l.Sealer.Shared)
	}
	for name, id := range map[string]*keys.Identity{"sender's": l.Sealer.From, "opener's": l.Identity} {
		if id == nil {
			continue
		}
		b, err := id.MarshalCleartext(insecurecleartext.Token{})
		if err != nil {
			t.Fatal(err)
		}
		r := strict.NewReader(b)
		r.Array(5)
		r.Uint()
		out[name+" root"] = r.Bin(32, 32)
		out[name+" signing key"] = ringSecret(t, &r)
		out[name+" sealing key"] = ringSecret(t, &r)
	}
	return out
}

// pairSecrets returns the secret bytes of a keyset's first pair.
func pairSecrets(t testing.TB, shared *keys.SharedKeyset) (aead, mac []byte) {
	t.Helper()
	b, err := shared.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		t.Fatal(err)
	}
	r := strict.NewReader(b)
	r.Array(3)
	r.Uint()
	return ringSecret(t, &r), ringSecret(t, &r)
}

// ringSecret reads a ring, docs/protocol.md section 2.4, and returns its first key.
func ringSecret(t testing.TB, r *strict.Reader) []byte {
	t.Helper()
	r.Array(2)
	set, err := keyset.Parse(r.Bin(1, 1<<16))
	if err != nil {
		t.Fatal(err)
	}
	for range r.ArrayLen(1, 16) {
		r.Array(5)
		for range 5 {
			r.Uint()
		}
	}
	if r.Failed() {
		t.Fatal("the ring has another form")
	}
	return set.Keys[0].Secret
}
