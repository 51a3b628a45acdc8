package envelope

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/internal/slowtest"
	"github.com/hopseal/hopseal/keys"
)

// What a call may allocate beside 8 bytes for each one that it reads: an HPKE
// decapsulation, a stream's buffers.
const (
	openRoom   = 1 << 17
	streamRoom = 1 << 19
)

// bounded fails where f, which reads n bytes, allocates out of proportion.
func bounded(t testing.TB, what string, n, room int, f func()) {
	t.Helper()
	if used := allocated(f); used > 8*uint64(n)+uint64(room) {
		t.Errorf("%s: %d bytes took %d", what, n, used)
	}
}

// An entry is one way by which bytes from outside come in. Its error is
// [ErrOpen] or its own for bytes that are refused.
type entry struct {
	name    string
	refusal error
	room    int
	take    func(b []byte) error
}

// entries are all of them, for every suite.
func entries(all []link) (out []entry) {
	add := func(name string, room int, take func([]byte) error) {
		out = append(out, entry{name, ErrOpen, room, take})
	}
	for _, l := range all {
		o := l.opener()
		add(l.name+", Open", openRoom, func(b []byte) error { _, _, err := o.Open(nil, b); return err })
		add(l.name+", NewReader", streamRoom, func(b []byte) error { _, err := openStream(o, b); return err })
		add(l.name+", NewReaderAt", streamRoom, func(b []byte) error {
			r, err := o.NewReaderAt(bytes.NewReader(b), int64(len(b)))
			if err == nil {
				_, err = io.Copy(io.Discard, io.NewSectionReader(r, 0, r.Size()))
			}
			return err
		})
		if l.Opener.From == nil {
			continue
		}
		v := l.gateway()
		add(l.name+", Verify", openRoom, func(b []byte) error { _, err := v.Verify(b); return err })
		add(l.name+", VerifyStream", streamRoom, func(b []byte) error { _, err := v.VerifyStream(bytes.NewReader(b)); return err })
		if len(l.To) == 0 {
			continue
		}
		again := Sealer{From: l.Sealer.From, To: l.To, Context: l.Sealer.Context}
		add(l.name+", Rewrap", openRoom, func(b []byte) error { _, err := again.Rewrap(nil, b); return err })
		add(l.name+", RewrapStream", streamRoom, func(b []byte) error { return again.RewrapStream(io.Discard, bytes.NewReader(b)) })
	}
	add("Inspect", openRoom, func(b []byte) error { _, err := Inspect(b); return err })
	add("InspectStream", streamRoom, func(b []byte) error { _, err := InspectStream(bytes.NewReader(b)); return err })
	return append(out, entry{"ParseReplayGuard", ErrReplayGuard, openRoom, func(b []byte) error { _, err := ParseReplayGuard(b); return err }})
}

// A28, A29: what an attacker makes to have memory allocated, or a stack grow.
func TestA28A29HostileInputsAreBounded(t *testing.T) {
	slowtest.Skip(t)
	all := links(t)
	k := newKit(t, all[2])
	long := bytes.Repeat([]byte{0x91}, 1<<20)
	bin32 := func(n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{0xc6}, n) }
	inputs := map[string][]byte{
		"nothing": nil, "one byte": {0x95},
		"deep arrays":            long,
		"deep arrays inside":     slices.Concat([]byte{0x95, 1}, bin32(1<<20), long),
		"deep maps":              bytes.Repeat([]byte{0x81}, 1<<20),
		"an array of 4 G":        {0xdd, 0xff, 0xff, 0xff, 0xff},
		"a header of 4 GB":       {0x95, 1, 0xc6, 0xff, 0xff, 0xff, 0xff},
		"a stream head of 4 GB":  {0x94, 1, 0xc6, 0xff, 0xff, 0xff, 0xff},
		"a guard of 4 G senders": {0x93, 1, 0, 0xdd, 0xff, 0xff, 0xff, 0xff},
		"zeros":                  make([]byte, 1<<20),
		"ones":                   bytes.Repeat([]byte{0xff}, 1<<20),
		"a text of 4 GB":         {0x95, 1, 0xc4, 7, 0x98, 1, 0xdb, 0xff, 0xff, 0xff, 0xff},
	}
	// A list of recipients that announces more, and one that is long and malformed.
	p := k.sealed
	p.recipients = slices.Concat([]byte{0xdd, 0, 0, 0x03, 0xe8}, make([]byte, 1<<20))
	inputs["a long list"] = p.append(nil)
	head := k.head
	head.recipients = p.recipients
	inputs["a stream's long list"] = head.append(nil)
	for _, form := range [][]byte{k.envelope(), k.stream()} {
		for n := range len(form) / 97 {
			inputs[fmt.Sprintf("%d of %d bytes", 97*n, len(form))] = form[:97*n]
		}
	}
	for _, e := range entries(all) {
		for name, b := range inputs {
			bounded(t, e.name+", "+name, len(b), e.room, func() {
				if err := e.take(b); !errors.Is(err, e.refusal) {
					t.Errorf("%s, %s: %v", e.name, name, err)
				}
			})
		}
	}
}

// A28: the guard's own format at its most wasteful: every field as short as it can
// be, for as much memory as possible.
func TestA28ReplayGuardAllocatesInProportion(t *testing.T) {
	slowtest.Skip(t)
	for _, ids := range []int{0, 1, 8, 9, 57, replayPerSender} {
		for _, senders := range []int{1, 8, 9, 113, 450, 1791, 3557} {
			if ids == replayPerSender && senders > 1 {
				continue
			}
			b := shortestGuard(senders, ids)
			bounded(t, fmt.Sprintf("%d senders with %d ids each", senders, ids), len(b), 1<<13, func() {
				if _, err := ParseReplayGuard(b); err != nil {
					t.Error(err)
				}
			})
			if cut := b[:len(b)-1]; len(b) > 40 { // announced and not there
				bounded(t, "cut short", len(cut), 1<<13, func() {
					if _, err := ParseReplayGuard(cut); err != ErrReplayGuard {
						t.Error(err)
					}
				})
			}
		}
	}
	for _, announced := range [][]byte{{0xdc, 0x40, 0}, {0xdd, 0, 1, 0, 0}} { // 2^14 and 2^16, and zeros behind
		oneSender := slices.Concat(guardHead, []byte{0x91, 0x94, 0xc4, 32}, make([]byte, 32), []byte{0xa0, 0})
		for _, before := range [][]byte{guardHead, oneSender} {
			b := slices.Concat(before, announced, make([]byte, 1<<17))
			bounded(t, "announced only", len(b), 1<<13, func() { _, _ = ParseReplayGuard(b) })
		}
	}
}

// guardHead is what stands before the senders of a guard, nobody's first.
var guardHead = []byte{0x95, guardVersion, 0xc4, 0, 0xce, 0, 4, 0x93, 0xe0, 0}

func shortestGuard(senders, ids int) []byte {
	array := func(b []byte, n int) []byte {
		if n < 16 {
			return append(b, 0x90|byte(n))
		}
		return append(b, 0xdc, byte(n>>8), byte(n))
	}
	b := array(slices.Clone(guardHead), senders)
	for i := range senders {
		b = binary.BigEndian.AppendUint32(append(b, 0x94, 0xc4, 32), uint32(i))
		b = array(append(append(b, make([]byte, 28)...), 0xa0, 0), ids)
		for id := range ids {
			b = binary.BigEndian.AppendUint32(append(b, 0x92, 0xc4, 16), uint32(id))
			b = append(append(b, make([]byte, 12)...), 0)
		}
	}
	return b
}

// A30: every number, length, type and container in another encoding, by a sender that
// proves it. What it means is the same; it is refused.
func TestA30OneEncodingOfEveryPart(t *testing.T) {
	for _, k := range kits(t) {
		refused := func(what string, c *kit) {
			t.Helper()
			if err := c.open(false); ReasonOf(err) == 0 {
				t.Errorf("%s, %s opens", k.name, what)
			}
			if err := c.verify(false); ReasonOf(err) == 0 {
				t.Errorf("%s, %s verifies", k.name, what)
			}
		}
		refusedStream := func(what string, c *kit) {
			t.Helper()
			if err := c.open(true); ReasonOf(err) == 0 {
				t.Errorf("%s, stream, %s opens", k.name, what)
			}
			if err := c.verify(true); ReasonOf(err) == 0 {
				t.Errorf("%s, stream, %s verifies", k.name, what)
			}
		}
		for what, header := range otherEncodings(t, k.sealed.header) {
			c := *k
			c.sealed.header = header
			if k.suite == SuiteRecipients {
				c.sealed.recipients = wrap(k.content, header, k.To...)
			}
			c.sealed.body = made(k.bodyKey().Seal(nil, padded("m"), label.EnvelopeBody.With(header)))
			c.prove(t)
			refused("header, "+what, &c)
		}
		for what, header := range otherEncodings(t, k.head.header) {
			c := *k
			c.head.header = header
			if k.suite == SuiteRecipients {
				c.head.recipients = made(k.content.wrap(k.To, c.head.digest()))
			}
			c.reseal(t, label.StreamKey, label.StreamHeader)
			refusedStream("header, "+what, &c)
		}
		for what, list := range otherEncodings(t, k.sealed.recipients) {
			c := *k
			c.sealed.recipients = list
			c.prove(t)
			refused("recipients, "+what, &c)
		}
		for what, list := range otherEncodings(t, k.head.recipients) {
			c := *k
			c.head.recipients = list
			c.prove(t)
			refusedStream("recipients, "+what, &c)
		}
		// Around them no proof reaches: a hop can write these.
		for what, b := range otherEncodings(t, k.envelope()) {
			if _, _, err := k.opener().Open(nil, b); ReasonOf(err) == 0 {
				t.Errorf("%s, %s opens", k.name, what)
			}
			if _, err := Inspect(b); ReasonOf(err) == 0 {
				t.Errorf("%s, %s can be inspected", k.name, what)
			}
		}
		rest := append(bytes.Clone(k.segment), k.final...)
		for what, b := range otherEncodings(t, k.head.append(nil)) {
			if _, err := openStream(k.opener(), append(b, rest...)); ReasonOf(err) == 0 {
				t.Errorf("%s, stream, %s opens", k.name, what)
			}
		}
	}
}

// otherEncodings returns, by name, the same MessagePack with one head written in
// another form, or another type or container.
func otherEncodings(t *testing.T, b []byte) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	if b == nil {
		return out
	}
	out["one byte more"] = append(bytes.Clone(b), 0xc0)
	out["one byte less"] = b[:len(b)-1]
	for at := 0; at < len(b); {
		head, skip := headOf(b[at:])
		if head == 0 {
			t.Fatalf("byte %x at %d is none of the format's heads", b[at], at)
		}
		for i, other := range rewrites(b[at:][:head]) {
			out[fmt.Sprintf("head at %d, form %d", at, i)] = slices.Concat(b[:at], other, b[at+head:])
		}
		out[fmt.Sprintf("value at %d twice", at)] = slices.Concat(b[:at], b[at:][:head+skip], b[at:])
		at += head + skip
	}
	return out
}

// headOf returns the size of the head at the start of b, and of what it announces
// that is no value itself.
func headOf(b []byte) (head, skip int) {
	switch c := b[0]; {
	case c < 0x80 || c == 0xc0 || c>>4 == 9:
		return 1, 0
	case c>>5 == 5:
		return 1, int(c & 0x1f)
	case c == 0xc4 || c == 0xd9:
		return 2, int(b[1])
	case c == 0xc5 || c == 0xda:
		return 3, int(binary.BigEndian.Uint16(b[1:]))
	case c == 0xc6:
		return 5, int(binary.BigEndian.Uint32(b[1:]))
	case c == 0xcc:
		return 2, 0
	case c == 0xcd || c == 0xdc:
		return 3, 0
	case c == 0xcf:
		return 9, 0
	}
	return 0, 0
}

// rewrites returns other heads for the same value: longer, signed, a float, or of a
// sibling type.
func rewrites(head []byte) (out [][]byte) {
	wide := func(n uint64, size int) []byte { return binary.BigEndian.AppendUint64(nil, n)[8-size:] }
	sized := func(n uint64, codes ...byte) {
		for i, code := range codes {
			if size := 1 << i; n < 1<<(8*size) && !bytes.Equal(head, append([]byte{code}, wide(n, size)...)) {
				out = append(out, append([]byte{code}, wide(n, size)...))
			}
		}
	}
	c, n := head[0], uint64(0)
	for _, b := range head[1:] {
		n = n<<8 | uint64(b)
	}
	switch {
	case c < 0x80 || c == 0xcc || c == 0xcd || c == 0xcf:
		if c < 0x80 {
			n = uint64(c)
			sized(n, 0xd0, 0xd1, 0xd2, 0xd3)
		}
		sized(n, 0xcc, 0xcd, 0xce)
		if c != 0xcf {
			sized(n, 0xcc, 0xcd, 0xce, 0xcf)
		}
		out = append(out, []byte{0xc0}, []byte{0xca, 0x3f, 0x80, 0, 0}, []byte{0xc2})
	case c == 0xc0:
		out = append(out, []byte{0xc2}, []byte{0}, []byte{0xc4, 0}, []byte{0xa0}, []byte{0x90}, []byte{0x80})
	case c>>4 == 9 || c == 0xdc:
		if c != 0xdc {
			n = uint64(c & 0x0f)
			out = append(out, []byte{0x80 | c&0x0f}, []byte{c - 1}, []byte{c + 1}) // a map, fewer, more
		}
		out = append(out, append([]byte{0xdc}, wide(n, 2)...), append([]byte{0xdd}, wide(n, 4)...))
	case c == 0xc4 || c == 0xc5 || c == 0xc6:
		sized(n, 0xc4, 0xc5, 0xc6)
		sized(n, 0xd9, 0xda, 0xdb)
		out = append(out, slices.Concat([]byte{0xc7}, wide(n, 1), []byte{1}))
	case c>>5 == 5 || c == 0xd9 || c == 0xda:
		if c>>5 == 5 {
			n = uint64(c & 0x1f)
		}
		sized(n, 0xd9, 0xda, 0xdb)
		sized(n, 0xc4, 0xc5, 0xc6)
	}
	return slices.DeleteFunc(out, func(b []byte) bool { return bytes.Equal(b, head) })
}

// A32: each exported function and method of this package that takes bytes from
// outside is called by a fuzz target. A new one without a target fails this.
func TestA32EveryEntryIsFuzzed(t *testing.T) {
	// These take the caller's own bytes, or give bytes out.
	own := []string{
		"Sealer.Seal", "Sealer.NewWriter", "Writer.Write", "Writer.ReadFrom",
		"UnverifiedReader.Read", "UnverifiedReader.WriteTo", "ReaderAt.ReadAt", "SealValue",
	}
	parts := map[string]string{"OpenValue": "Decode"} // what it does beside Open
	code, tests := declared(t)
	fuzzed := map[string]bool{}
	for name, f := range tests {
		if strings.HasPrefix(name, "Fuzz") {
			follow(tests, f.Body, fuzzed)
		}
	}
	n := 0
	for name, f := range code {
		if ast.IsExported(name) && f.Name.IsExported() && takesBytes(f) {
			if n++; !fuzzed[f.Name.Name] && !fuzzed[parts[name]] && !slices.Contains(own, name) {
				t.Errorf("%s takes bytes from outside, and no fuzz target calls it", name)
			}
		}
	}
	if n < len(own)+8 {
		t.Errorf("%d functions take bytes: the test does not see them", n)
	}
}

// declared returns the package's functions and methods, and those of its tests, by
// name: "Function" or "Type.Method".
func declared(t *testing.T) (code, tests map[string]*ast.FuncDecl) {
	t.Helper()
	code, tests = map[string]*ast.FuncDecl{}, map[string]*ast.FuncDecl{}
	paths, err := filepath.Glob("*.go")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		in := code
		if strings.HasSuffix(path, "_test.go") {
			in = tests
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				in[nameOf(f)] = f
			}
		}
	}
	return code, tests
}

func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	return of.(*ast.Ident).Name + "." + f.Name.Name
}

// takesBytes reports whether a parameter can carry bytes.
func takesBytes(f *ast.FuncDecl) bool {
	return slices.ContainsFunc(f.Type.Params.List, func(p *ast.Field) bool {
		switch p := p.Type.(type) {
		case *ast.ArrayType:
			element, ok := p.Elt.(*ast.Ident)
			return ok && element.Name == "byte"
		case *ast.SelectorExpr:
			in, ok := p.X.(*ast.Ident)
			return ok && in.Name == "io"
		}
		return false
	})
}

// follow collects the names of what a body calls, in the functions of the tests
// that it calls too.
func follow(tests map[string]*ast.FuncDecl, body ast.Node, called map[string]bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		fun := call.Fun
		if generic, ok := fun.(*ast.IndexExpr); ok {
			fun = generic.X
		}
		switch fun := fun.(type) {
		case *ast.SelectorExpr:
			called[fun.Sel.Name] = true
		case *ast.Ident:
			if f := tests[fun.Name]; f != nil && !called[fun.Name] {
				called[fun.Name] = true
				follow(tests, f.Body, called)
			}
			called[fun.Name] = true
		}
		return true
	})
}

// FuzzA32Entries gives bytes to every entry of the package: none panics, none
// allocates out of proportion (A28), nothing but what was sealed opens, and what is
// refused is refused with the one error. A fuzzer cannot make proofs, and the keys
// are others in every process: so it changes messages that were made here, or gives
// bytes of its own.
func FuzzA32Entries(f *testing.F) {
	all := links(f)
	var genuine [][]byte
	for _, l := range all {
		l.To = l.To[max(0, len(l.To)-1):]
		genuine = append(genuine, seal(f, &l.Sealer, "seed"), sealStream(f, &l.Sealer, []byte("seed")))
	}
	self := all[2].Sealer // which can be sealed again
	self.To = []*keys.PublicIdentity{self.From.Public()}
	genuine = append(genuine, seal(f, &self, "seed"), sealStream(f, &self, []byte("seed")), shortestGuard(2, 2))
	for i, b := range genuine {
		f.Add([]byte{}, byte(i), uint16(0), []byte{})
		f.Add([]byte{}, byte(i), uint16(2), []byte{0, 1})
		f.Add(b, byte(0), uint16(0), []byte{})
	}
	f.Add([]byte("\x94\x01\xc6\xff\xff\xff\xff"), byte(0), uint16(0), []byte{})
	every := entries(all)
	f.Fuzz(func(t *testing.T, b []byte, which byte, at uint16, patch []byte) {
		if len(b) == 0 {
			b = bytes.Clone(genuine[int(which)%len(genuine)])
			for i := range patch {
				b[(int(at)+i)%len(b)] ^= patch[i]
			}
		}
		was := slices.ContainsFunc(genuine, func(g []byte) bool { return bytes.Equal(g, b) })
		for _, e := range every {
			bounded(t, e.name, len(b), e.room, func() {
				err := e.take(b)
				// A stream that is sealed again is verified by who opens it.
				public := strings.HasPrefix(e.name, "Inspect") || e.name == "ParseReplayGuard" || strings.HasSuffix(e.name, "RewrapStream")
				if err == nil && !public && !was {
					t.Errorf("%s takes a forgery", e.name)
				}
				if err != nil && !errors.Is(err, e.refusal) {
					t.Errorf("%s: %v", e.name, err)
				}
			})
		}
	})
}

// FuzzA30Insider changes what only the sender can change, header, recipients and
// padded plaintext, and proves it: what opens has the one encoding of what it says.
func FuzzA30Insider(f *testing.F) {
	all := kits(f)
	for i, k := range all {
		f.Add(byte(i), k.sealed.header, uint16(0), []byte{}, padded("m"))
		f.Add(byte(i), k.sealed.header, uint16(5), []byte{1}, padded(""))
		f.Add(byte(i), k.sealed.header, uint16(0), []byte{}, append([]byte{0x80, 0, 0, 1}, "m00"...))
	}
	f.Fuzz(func(t *testing.T, which byte, header []byte, at uint16, patch, plain []byte) {
		k := *all[int(which)%len(all)]
		var h Header
		if own, err := parseHeader(header, "", ""); err == nil { // of another process: with this one's keys
			h = made(parseHeader(k.sealed.header, "", ""))
			own.Suite, own.Sender, own.Party, own.SealKey, own.ProofKey = h.Suite, h.Sender, h.Party, h.SealKey, h.ProofKey
			header = own.append(nil)
			k.Opener.Context = own.Context
		}
		k.sealed.header = header
		if k.suite == SuiteRecipients {
			k.sealed.recipients = wrap(k.content, header, k.To...)
			for i := range patch {
				k.sealed.recipients[(int(at)+i)%len(k.sealed.recipients)] ^= patch[i]
			}
		}
		k.sealed.body = made(k.bodyKey().Seal(nil, plain, label.EnvelopeBody.With(header)))
		k.prove(t)
		got, opened, err := k.opener().Open(nil, k.envelope())
		if err != nil {
			if ReasonOf(err) == 0 {
				t.Error(err)
			}
			return
		}
		if !bytes.Equal(opened.append(nil), header) {
			t.Errorf("header %x opens, and is written %x", header, opened.append(nil))
		}
		length := binary.BigEndian.Uint32(plain)
		if again := appendPadded(nil, got, len(plain), length); !bytes.Equal(again, plain) || int(length&^chosenTotal) != len(got) {
			t.Errorf("plaintext %x opens as %x", plain, got)
		}
	})
}
