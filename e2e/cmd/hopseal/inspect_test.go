//go:build !js

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/internal/strict"
	"github.com/hopseal/hopseal/keys"
)

// Absolute, since tests change folders.
var vectorFolder, _ = filepath.Abs("../../../docs/vectors/envelope")

// vectors returns what stands in the vectors that are envelopes or streams, by name.
func vectors(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(vectorFolder, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	all := make(map[string][]byte)
	for _, file := range files {
		var v struct{ Kind, Sealed string }
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		sealed, err := hex.DecodeString(v.Sealed)
		if err != nil {
			t.Fatal(err)
		}
		if v.Kind == "envelope" || v.Kind == "stream" {
			all[strings.TrimSuffix(filepath.Base(file), ".json")] = sealed
		}
	}
	return all
}

// inspects runs a command that must succeed and say nothing on standard error.
func (w *world) inspects(args ...string) string {
	w.t.Helper()
	out, errs, code := w.run(append([]string{"inspect"}, args...)...)
	if code != 0 || errs != "" {
		w.t.Fatalf("%s: code %d: %s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// What is shown of one vector of each suite, and of a stream. HOPSEAL_WRITE_GOLDEN
// set, it is written anew.
func TestInspectGolden(t *testing.T) {
	golden, err := filepath.Abs("testdata/inspect")
	if err != nil {
		t.Fatal(err)
	}
	local := time.Local
	defer func() { time.Local = local }()
	time.Local = time.FixedZone("elsewhere", 2*60*60)
	all := vectors(t)
	w := newWorld(t)
	for name, flags := range map[string][]string{
		"good-shared-example":               {"-hex", "-all"},
		"good-signed-example":               {"-hex"},
		"good-recipients-example":           {"-hex"},
		"good-recipients-twenty":            {"-hex"},
		"good-stream-shared-example":        {"-hex", "-all"},
		"good-stream-shared-200000-bytes":   {"-hex", "-all"},
		"good-recipients-three-opener-last": {"-json"},
		"good-signed-unicode":               {},
	} {
		if all[name] == nil {
			t.Fatalf("there is no vector %s", name)
		}
		w.stdin = string(all[name])
		got, file := w.inspects(flags...), filepath.Join(golden, name+".txt")
		if os.Getenv("HOPSEAL_WRITE_GOLDEN") != "" {
			if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s %v shows\n%s, want\n%s", name, flags, got, want)
		}
	}
}

// dumped reads the bytes back from a hex view, and fails where an offset or a gap
// is not what it says.
func dumped(t testing.TB, view string) (b []byte, gaps int64) {
	t.Helper()
	_, lines, _ := strings.Cut(view, "FIELD\n")
	hexLine := regexp.MustCompile(`^([0-9a-f]{8})  (.{8})  (.{47})(?:  ([a-z0-9 ]+))?$`)
	gap := regexp.MustCompile(`^ {20}… (\d+) more(?: recipients, (\d+) bytes)?$`)
	for line := range strings.Lines(lines) {
		line = strings.TrimSuffix(line, "\n")
		if m := gap.FindStringSubmatch(line); m != nil {
			n, _ := strconv.ParseInt(m[1], 10, 64)
			if m[2] != "" {
				n, _ = strconv.ParseInt(m[2], 10, 64)
			}
			gaps += n
			continue
		}
		m := hexLine.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("%q", line)
		}
		if at, _ := strconv.ParseInt(m[1], 16, 64); at != int64(len(b))+gaps {
			t.Fatalf("%q, but %d stand before it", line, int64(len(b))+gaps)
		}
		more, err := hex.DecodeString(strings.ReplaceAll(m[2]+m[3], " ", ""))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		b = append(b, more...)
	}
	return b, gaps
}

// Every byte of every vector is shown once, in order, and the JSON covers all.
// What is refused has one of few texts.
func TestInspectVectors(t *testing.T) {
	w := newWorld(t)
	shown := 0
	for name, sealed := range vectors(t) {
		w.stdin = string(sealed)
		out, errs, code := w.run("inspect", "-hex", "-all")
		if code != 0 {
			if code != exitFailure || out != "" || !strings.HasPrefix(errs, "hopseal: standard input is ") {
				t.Errorf("%s: %d: %s%s", name, code, out, errs)
			}
			continue
		}
		shown++
		if b, gaps := dumped(t, out); gaps == 0 && !bytes.Equal(b, sealed) || int64(len(b))+gaps != int64(len(sealed)) || gaps > 0 && sealed[0] != streamStart {
			t.Errorf("%s: %d bytes and %d left out of %d:\n%s", name, len(b), gaps, len(sealed), out)
		}
		if b, gaps := dumped(t, w.inspects("-hex")); int64(len(b))+gaps != int64(len(sealed)) {
			t.Errorf("%s: %d bytes and %d left out of %d", name, len(b), gaps, len(sealed))
		}
		r := decodeJSON[inspectResult](t, w.inspects("-json"))
		at := int64(0)
		for _, p := range r.Parts {
			if p.Offset != at {
				t.Fatalf("%s: %+v at %d", name, p, at)
			}
			at += p.Size
		}
		if at != r.Size || r.Size != int64(len(sealed)) || r.Authenticated || (r.Kind == "stream") != (r.Segments > 0) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if shown < 50 {
		t.Errorf("only %d were shown", shown)
	}
}

func decodeJSON[T any](t testing.TB, text string) (r T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

// The bytes themselves and every text that people make of them are one message.
func TestInspectInputs(t *testing.T) {
	w := newWorld(t)
	all := vectors(t)
	wrapped := func(s string, n int, end string) string {
		var b strings.Builder
		for part := range slices.Chunk([]byte(s), n) {
			b.Write(part)
			b.WriteString(end)
		}
		return b.String()
	}
	for _, name := range []string{"good-shared-example", "good-signed-example", "good-recipients-example", "good-stream-shared-example", "good-stream-shared-200000-bytes"} {
		sealed := all[name]
		w.stdin = string(sealed)
		want := w.inspects("-json")
		digits := hex.EncodeToString(sealed)
		for form, text := range map[string]string{
			"hex": digits, "upper case": strings.ToUpper(digits), "xxd -p": wrapped(digits, 60, "\n"), "pairs": wrapped(digits, 2, " "),
			"base64": encodeText(sealed) + "\n", "no padding": base64.RawStdEncoding.EncodeToString(sealed),
			"URL": base64.URLEncoding.EncodeToString(sealed), "raw URL": base64.RawURLEncoding.EncodeToString(sealed),
			"MIME": strings.Repeat("\r\n ", 5000) + wrapped(encodeText(sealed), 76, "\r\n"),
		} {
			w.stdin = text
			if got := w.inspects("-json"); got != want {
				t.Errorf("%s as %s: %s", name, form, got)
			}
		}
		w.stdin = "elsewhere"
		if got := w.inspects("-json", w.write("message", string(sealed))); got != want {
			t.Errorf("%s as a file: %s", name, got)
		}
		w.stdin = string(sealed)
		if got := w.inspects("-", "-json"); got != want {
			t.Errorf("%s as -: %s", name, got)
		}
	}
}

// What is none says what it is, or why, and what to do. Kinds of mistakes are told
// apart.
func TestInspectRefuses(t *testing.T) {
	w := newWorld(t)
	w.store("alice")
	bob := w.store("bob")
	w.key("new", "-shared", "orders")
	all := vectors(t)
	good, stream := string(all["good-shared-example"]), string(all["good-stream-shared-example"])
	d := distinct{}
	for _, c := range []struct{ kind, part, content string }{
		{"empty", "is empty: ask for it again", ""},
		{"damaged", "is not an envelope or a stream: it is damaged, cut short", "hello"},
		{"version", "is of a version that this hopseal does not know: update it", flip(good, 1)},
		{"suite", "is of a suite that this hopseal does not know: update it", good[:5] + "\x09" + good[6:]},
		{"text", "begins like an envelope or a stream as text", hex.EncodeToString([]byte(good))[1:100] + "x"},
		{"public identity", "'hopseal key fingerprint' shows", w.read("bob.pub")},
		{"succession", "'hopseal key import' takes", w.key("succeed", "bob.store")},
		{"store", "'hopseal key show' shows", w.read("alice.store")},
		{"backup", "with secret keys", w.key("export", "-insecure-cleartext")},
	} {
		if c.kind == "text" {
			c.content = "95" + c.content
		}
		w.stdin = c.content
		d.add(t, c.kind, w.failsAs(exitFailure, c.part, "inspect"))
	}
	damaged := "is not an envelope or a stream: it is damaged, cut short or something else: ask for it again"
	for kind, c := range map[string]struct{ part, content string }{
		"white space":            {"is empty", " \n\n\t"},
		"zeros":                  {damaged, strings.Repeat("\x00", 3<<20)},
		"noise":                  {damaged, strings.Repeat("\xe9\x1b]0;title\x07", 1000)},
		"first byte":             {damaged, "\x95"},
		"first byte of a stream": {damaged, "\x94"},
		"cut short":              {damaged, good[:len(good)-1]},
		"longer":                 {damaged, good + "\n"},
		"longer in front":        {damaged, "\n" + good},
		"stream cut in the head": {damaged, stream[:100]},
		"stream without the end": {damaged, stream[:190]},
		"stream of zeros":        {damaged, "\x94\x01" + strings.Repeat("\x00", 3<<20)},
		"promises 4 GiB":         {damaged, "\x95\x01\xc6\xff\xff\xff\xff"},
		"promises much":          {damaged, "\x94\x01\xc6\xff\xff\xff\xff"},
		"short body":             {damaged, shortBody(good)},
		"odd hex":                {"neither hex nor base64", hex.EncodeToString([]byte(good)) + "0"},
		"base64 behind padding":  {"neither hex nor base64", encodeText([]byte(good))[:100] + "=" + encodeText([]byte(good))[100:]},
		"base64 and more":        {"neither hex nor base64", encodeText([]byte(stream)) + "\x1b[2J"},
		"bits behind the end":    {"neither hex nor base64", "lQH"},
		"hex, cut short":         {damaged, hex.EncodeToString([]byte(good))[:200]},
	} {
		w.stdin = c.content
		if line := w.failsAs(exitFailure, c.part, "inspect", "-hex"); strings.ContainsFunc(line, unicode.IsControl) {
			t.Errorf("%s: %q", kind, line)
		}
	}
	w.stdin = good
	w.failsAs(exitFailure, "missing: no such file or directory: check the name", "inspect", "missing")
	w.failsAs(exitFailure, "is a directory: give a file that can be read", "inspect", ".")
	w.failsAs(exitFailure, `missing\x1b[2J`, "inspect", "missing\x1b[2J")
	w.failsAs(exitUsage, "-all goes with -hex", "inspect", "-all")
	w.failsAs(exitUsage, "give one: see 'hopseal inspect -h'", "inspect", "-hex", "-json")
	w.failsAs(exitUsage, "2 arguments, want [FILE]", "inspect", "a", "b")
	w.failsAs(exitUsage, "not defined", "inspect", "-raw")

	w.stdin = w.key("export", "-shared", "orders", "-to", "bob.pub", "-fingerprint", bob)
	if out := w.inspects(); !strings.Contains(out, "application/x-hopseal-shared-keyset") || !strings.Contains(out, w.fingerprint("alice.pub")) {
		t.Error(out)
	}
	w.person = &person{}
	w.failsAs(exitUsage, "no file is named: give FILE, or - to type it in", "inspect")
	w.inspects("-")
	if out := w.inspects("-h"); !strings.Contains(out, "-hex") {
		t.Error(out)
	}
}

// shortBody takes all but 20 bytes from the body of good-shared-example.
func shortBody(good string) string {
	const head, body = 0x5c, 0x68
	return good[:head] + "\xc4\x14" + good[head+2:][:20] + good[head+2+body:]
}

// reader runs the command with any standard input.
func (w *world) reads(ctx context.Context, in io.Reader, args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = run(ctx, system{stdin: in, stdout: &out, stderr: &errs, console: w.person,
		getenv: func(string) string { return "" }}, append([]string{"inspect"}, args...))
	return out.String(), errs.String(), code
}

func TestInspectReadError(t *testing.T) {
	w := newWorld(t)
	all := vectors(t)
	for _, start := range []string{"", "x", "9501c4", "lQHE", "\x95\x01", string(all["good-shared-example"]), string(all["good-stream-shared-example"]),
		hex.EncodeToString(all["good-stream-shared-200000-bytes"])} {
		in := io.MultiReader(strings.NewReader(start), iotest.ErrReader(os.ErrDeadlineExceeded))
		out, errs, code := w.reads(t.Context(), in)
		if code != exitFailure || out != "" || errs != "hopseal: i/o timeout: give a file that can be read\n" {
			t.Errorf("%q: %d %s%s", start, code, out, errs)
		}
	}
}

// Who waits for input that does not come can go.
func TestInspectInterrupt(t *testing.T) {
	w := newWorld(t)
	r, writer := io.Pipe()
	defer writer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if out, errs, code := w.reads(ctx, r); code != exitFailure || out != "" || !strings.HasPrefix(errs, "hopseal: interrupted") {
		t.Error(code, out, errs)
	}
}

func TestInspectOutputThatFails(t *testing.T) {
	all := vectors(t)
	for _, flags := range [][]string{{}, {"-json"}, {"-hex", "-all"}} {
		var errs bytes.Buffer
		code := run(t.Context(), system{stdin: bytes.NewReader(all["good-shared-example"]), stdout: failingWriter{}, stderr: &errs, console: (*person)(nil),
			getenv: func(string) string { return "" }}, append([]string{"inspect"}, flags...))
		if code != exitFailure || !strings.Contains(errs.String(), "the output was not written") {
			t.Error(code, errs.String())
		}
	}
}

// hostile returns an envelope of the shared suite with texts and a time that an
// attacker chose.
func hostile(party, contentType, about string, ms uint64) []byte {
	h := strict.AppendUint(strict.AppendArray(nil, 8), 1)
	h = strict.AppendNil(strict.AppendBin(strict.AppendStr(h, party), make([]byte, 32)))
	h = strict.AppendUint(strict.AppendBin(h, make([]byte, 16)), ms)
	h = strict.AppendStr(strict.AppendStr(h, contentType), about)
	b := strict.AppendBin(strict.AppendUint(strict.AppendArray(nil, 5), 1), h)
	return strict.AppendBin(strict.AppendBin(strict.AppendNil(b), make([]byte, 104)), make([]byte, 32))
}

// A47: texts of strangers cannot steer a terminal, forge a line or hide.
func TestA47InspectHostileTexts(t *testing.T) {
	w := newWorld(t)
	benign := strings.Count(runOn(w, hostile("a", "b", "c", 1)), "\n")
	for name, text := range map[string]string{
		"clear":       "\x1b[2J\x1b]0;title\x07",
		"C1":          "\u009b2J\u0085",
		"line feed":   "x\nsender         fp1forged\r\n",
		"bidi":        "\u202etxt.exe\u2066",
		"quote":       `" authenticated "`,
		"blank":       "\u3164\u2800\u200b\ufeff",
		"tag":         "\U000e0041\U000e007f",
		"html":        "<script>alert(1)</script>",
		"long":        strings.Repeat("\u202e", 42),
		"backslashes": `\x1b[2J\`,
	} {
		sealed := hostile(text, text, strings.Repeat(text, 1+900/len(text)), 1<<48-1)
		out := runOn(w, sealed)
		for _, r := range out {
			if r != '\n' && r != '…' && (r < ' ' || r > '~') {
				t.Errorf("%s: %q in %q", name, r, out)
			}
		}
		if strings.Count(out, "\n") != benign || !strings.HasPrefix(out, notAuthenticated+"\n") {
			t.Errorf("%s: %q", name, out)
		}
		j := w.inspects("-json")
		if strings.ContainsFunc(j, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }) {
			t.Errorf("%s: %q", name, j)
		}
		r := decodeJSON[inspectResult](t, j)
		if r.Party != text || r.ContentType != text || !strings.HasPrefix(r.Context, text) || r.Time != "10889-08-02T05:31:50.655Z" {
			t.Errorf("%s: %+v", name, r)
		}
		w.inspects("-hex", "-all")
	}
	// Nothing of the longest texts is left off.
	about := strings.Repeat("\x01", envelope.MaxContextSize)
	if out := runOn(w, hostile("p", "t", about, 1)); !strings.Contains(out, `"`+strings.Repeat(`\x01`, envelope.MaxContextSize)+`"`) {
		t.Error(out)
	}
}

func runOn(w *world, sealed []byte) string {
	w.stdin = string(sealed)
	return w.inspects()
}

// streamOf returns the head of a stream to recipients, with noise for keys.
func streamOf(recipients int) []byte {
	h := strict.AppendUint(strict.AppendArray(nil, 9), 3)
	h = strict.AppendBin(strict.AppendBin(strict.AppendBin(h, make([]byte, 32)), make([]byte, 32)), make([]byte, 32))
	h = strict.AppendUint(strict.AppendBin(h, make([]byte, 16)), 1)
	h = strict.AppendBin(strict.AppendStr(strict.AppendStr(h, ""), ""), make([]byte, 32))
	list := strict.AppendArray(nil, recipients)
	for i := range recipients {
		id := append(make([]byte, 30), byte(i>>8), byte(i))
		list = strict.AppendBin(strict.AppendBin(strict.AppendArray(list, 2), id), make([]byte, keys.SealedKeySize))
	}
	b := strict.AppendBin(strict.AppendUint(strict.AppendArray(nil, 4), 1), h)
	return strict.AppendBin(strict.AppendBin(b, list), make([]byte, 64))
}

// A28: memory does not grow with a stream; its beginning and its end are shown.
func TestA28InspectStreamInConstantMemory(t *testing.T) {
	w := newWorld(t)
	head := streamOf(envelope.MaxRecipients)
	const segments = 1 << 9
	end := append(bytes.Repeat([]byte{0xee}, 1000), bytes.Repeat([]byte{0xff}, 64)...)
	in := func() io.Reader {
		return io.MultiReader(bytes.NewReader(head), io.LimitReader(zeroes{}, segments*65_552), bytes.NewReader(end))
	}
	var m message
	var err error
	if used := allocated(func() { m, err = inspectFrom(in()) }); used > 24<<20 || err != nil {
		t.Fatalf("%d bytes were allocated, %v", used, err)
	}
	if m.Segments != segments+1 || m.window.size != int64(len(head))+segments*65_552+int64(len(end)) {
		t.Errorf("%d segments, %d bytes", m.Segments, m.window.size)
	}
	out, errs, code := w.reads(t.Context(), in(), "-hex", "-all")
	if code != 0 || errs != "" {
		t.Fatal(code, errs)
	}
	b, gaps := dumped(t, out)
	if int64(len(b))+gaps != m.window.size || gaps != segments*65_552-48+1000-48 {
		t.Errorf("%d bytes and %d left out", len(b), gaps)
	}
	if want := slices.Concat(head, make([]byte, 48), end[:48], end[1000:]); !bytes.Equal(b, want) {
		t.Errorf("%d bytes are shown", len(b))
	}
	out, _, _ = w.reads(t.Context(), in(), "-hex")
	if !strings.Contains(out, "… 997 more recipients, 1202382 bytes\n") || strings.Count(out, "encapsulation") != 3 {
		t.Error("recipients are not left out")
	}
	if b, gaps := dumped(t, out); int64(len(b))+gaps != m.window.size {
		t.Errorf("%d bytes and %d left out", len(b), gaps)
	}
	if !strings.Contains(out, "\nrecipient 1000 0000000000000000000000000000000000000000000000000") {
		t.Error("the last recipient is not listed")
	}
}

// A window has the beginning and the end of whatever is written to it, and never
// shows one place as another.
func TestWindow(t *testing.T) {
	for _, chunk := range []int{1000, 4096, 70_001} {
		var w window
		for from := 0; from < windowFirst+6*windowLast; from += chunk {
			part := make([]byte, chunk)
			for i := range part {
				part[i] = placeByte(from + i)
			}
			if n, err := w.Write(part); n != chunk || err != nil {
				t.Fatal(n, err)
			}
			size := from + chunk
			if w.size != int64(size) || cap(w.last) > 16*windowLast {
				t.Fatalf("%d bytes, room for %d", w.size, cap(w.last))
			}
			for _, offset := range []int{0, 1, size / 2, size - windowLast, size - windowLast + 1, windowFirst - 48, windowFirst - 1, windowFirst, windowFirst + 1, size - 1, size} {
				if offset < 0 || offset > size {
					continue
				}
				got := w.at(int64(offset), 48)
				if want := min(48, size-offset); len(got) != want && (offset >= size-windowLast || offset+want <= windowFirst) {
					t.Fatalf("%d bytes at %d of %d", len(got), offset, size)
				}
				for i, b := range got {
					if b != placeByte(offset+i) {
						t.Fatalf("%x at %d of %d", got, offset, size)
					}
				}
			}
		}
	}
}

func placeByte(at int) byte { return byte(at ^ at>>8 ^ at>>16) }

// zeroes is read at once, however much it is.
type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Garbage costs no more than its beginning.
func TestInspectReadsNoEndlessGarbage(t *testing.T) {
	w := newWorld(t)
	damaged, large, later := "is not an envelope or a stream", "too many for an envelope", "is of a version that this hopseal does not know"
	for start, part := range map[string]string{
		"": damaged, "hello": damaged, "94": damaged, "9401c5": damaged, "lA": later, "\x94\x01\xc6\xff": damaged,
		"\x94": later, "\x95": large, " \t": damaged,
	} {
		endless := repeated("9401")
		if start == " \t" {
			endless = "\n"
		}
		in := &counted{r: io.MultiReader(strings.NewReader(start), endless)}
		out, errs, code := w.reads(t.Context(), in)
		if code != exitFailure || out != "" || !strings.Contains(errs, part) || in.n > 2*maxEnvelope || part != large && in.n > 3*maxStart {
			t.Errorf("%q: %d after %d bytes: %s%s", start, code, in.n, out, errs)
		}
	}
}

// repeated is read as itself without end.
type repeated string

func (r repeated) Read(p []byte) (int, error) {
	for n := copy(p, r); n < len(p); {
		n += copy(p[n:], p[:n])
	}
	return len(p), nil
}

type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// A32: whatever comes in, nothing panics, memory is bounded and what comes out is
// harmless.
func FuzzInspectInput(f *testing.F) {
	all := vectors(f)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if b := all[name]; len(b) < 500 && strings.HasPrefix(name, "good") {
			f.Add(b)
			f.Add([]byte(hex.EncodeToString(b)))
			f.Add([]byte(encodeText(b)))
		}
	}
	f.Add(hostile("\x1b[2J", "\u202e", "\n", 1<<48-1))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m message
		var err error
		used := allocated(func() { m, err = inspectFrom(bytes.NewReader(b)) })
		if used > 8*uint64(len(b))+1<<20 {
			t.Fatalf("reading %d bytes took %d", len(b), used)
		}
		if err != nil {
			return
		}
		r := describeMessage(m)
		r.view = &hexView{m.window, m.Parts, true}
		var out bytes.Buffer
		r.text(&out)
		if err := writeJSON(&out, r); err != nil {
			t.Fatal(err)
		}
		for _, c := range out.String() {
			if c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c)) {
				t.Fatalf("%q in %q", c, out.String())
			}
		}
		if m.kind == "envelope" {
			shown, gaps := dumped(t, strings.SplitN(out.String(), "\n{\n", 2)[0])
			if gaps != 0 || int64(len(shown)) != m.window.size {
				t.Fatalf("%d of %d bytes are shown, %d left out", len(shown), m.window.size, gaps)
			}
		}
	})
}

const inspectGuide = "../../../docs/inspect.md"

// The transcripts of docs/inspect.md are what happens, in a folder like docs. It
// names every flag, every line, every field and every part.
func TestInspectGuide(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "hop"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(vectorFolder), filepath.Join(dir, "hop", "vectors")); err != nil {
		t.Fatal(err)
	}
	text, ran := runGuide(t, inspectGuide, dir)
	if ran < 5 {
		t.Errorf("only %d commands were run", ran)
	}
	var want []string
	fieldsOf(reflect.TypeFor[inspectResult](), false, &want)
	w := newWorld(t)
	for _, flag := range regexp.MustCompile(`(?m)^  (-\w+)`).FindAllStringSubmatch(w.inspects("-h"), -1) {
		want = append(want, flag[1])
	}
	line := regexp.MustCompile(`(?m)^([a-z ]{1,13}?)(?: \d+)? {2,}`)
	for _, sealed := range vectors(t) {
		w.stdin = string(sealed)
		out, _, code := w.run("inspect")
		if code != 0 {
			continue
		}
		for _, m := range line.FindAllStringSubmatch(out, -1) {
			want = append(want, m[1])
		}
		for _, p := range decodeJSON[inspectResult](t, w.inspects("-json")).Parts {
			want = append(want, p.Section, p.Name)
		}
	}
	slices.Sort(want)
	for _, name := range slices.Compact(want) {
		if !regexp.MustCompile("`[^`]*" + name + "[^`]*`").Match(text) {
			t.Errorf("%s is not documented", name)
		}
	}
}
