package core

import (
	"bytes"
	"testing"
)

// What is saved of a change is the change: nothing, a claim of some 70 bytes, or the whole.
func TestKeptChangesAreWhatChanged(t *testing.T) {
	c := newClient(t)
	ann, bob := c.generate("ann"), c.generate("bob")
	peers, guard := c.must("peersCreate"), c.must("guardCreate", bob.handle, 0)
	p, g := peers.number(), guard.number()
	made := c.must("keptCreate")
	k := made.number()
	changes := func(all int) (kind uint32, b []byte) {
		f := c.must("keptChanges", k, bob.handle, p, g, all)
		return f.number(), bytes.Clone(f.bytes())
	}
	expect := func(want uint32, when string) []byte {
		t.Helper()
		kind, b := changes(0)
		if kind != want {
			t.Errorf("%s: %d, want %d", when, kind, want)
		}
		return b
	}
	whole := expect(keptWhole, "first")
	expect(keptNothing, "again")
	var claims, sealed [][]byte
	for range 3 {
		m := c.must("seal", ann.handle, []uint32{bob.public.handle}, 0, "", "", "", "", []byte("hi"))
		sealed = append(sealed, bytes.Clone(m.bytes()))
		c.must("open", bob.handle, ann.public.handle, 0, "", "", "", 0, g, sealed[len(sealed)-1])
		claims = append(claims, expect(keptClaims, "after a message"))
		if n := len(claims[len(claims)-1]); n > 80 {
			t.Errorf("a claim takes %d bytes", n)
		}
	}
	again := c.must("keptParse", whole, bytes.Join(claims, nil))
	loaded, _, _ := again.number(), readPublic(&again), again.number()
	after := again.number()
	for _, m := range sealed {
		if e := c.wantCode("open-failed", "open", loaded, ann.public.handle, 0, "", "", "", 0, after, m); e.Reason != "replay" {
			t.Errorf("reason %q", e.Reason)
		}
	}
	// A withdrawn claim opens again, and asks for the whole.
	header := c.must("inspect", sealed[0])
	for range 5 {
		header.bytes()
	}
	c.must("guardWithdraw", g, ann.fingerprint, bytes.Clone(header.bytes()))
	c.must("open", bob.handle, ann.public.handle, 0, "", "", "", 0, g, sealed[0])
	expect(keptWhole, "after a claim was withdrawn")
	c.must("peersAdmit", p, "", "room", 3, "", ann.public.handle)
	expect(keptWhole, "after a peer was admitted")
	c.must("peersVerify", p, "", "room", 3, "", ann.public.handle)
	expect(keptNothing, "after a peer was asked about")
	c.must("identityRenew", bob.handle)
	expect(keptWhole, "after a renewal")
	if kind, _ := changes(1); kind != keptWhole {
		t.Error("all was asked for")
	}
	for _, bad := range [][]byte{nil, {0x94}, whole[:len(whole)-1], append(bytes.Clone(whole), 0)} {
		c.wantCode("invalid", "keptParse", bad, []byte(nil))
	}
	c.wantCode("invalid", "keptParse", whole, []byte{1})
}

// One's own messages open for oneself, small and in steps, and never as somebody else's.
func TestOwnMessagesOpen(t *testing.T) {
	c := newClient(t)
	ann, bob := c.generate("ann"), c.generate("bob")
	both := []uint32{ann.public.handle, bob.public.handle}
	seal := func(from uint32) []byte {
		m := c.must("seal", from, both, 0, "", "", "", "ctx", []byte("hi"))
		return bytes.Clone(m.bytes())
	}
	mine, his := seal(ann.handle), seal(bob.handle)
	for range 2 {
		if f := c.must("openOwn", ann.handle, "ctx", mine); string(f.bytes()) != "hi" {
			t.Error("it opens as something else")
		}
	}
	begun := c.must("openOwnBegin", ann.handle, "ctx", mine)
	if begun.number() == 0 {
		t.Error("it does not open in steps")
	}
	for _, op := range []string{"openOwn", "openOwnBegin"} {
		if e := c.wantCode("open-failed", op, ann.handle, "ctx", his); e.Reason != "sender" {
			t.Errorf("reason %q", e.Reason)
		}
		if e := c.wantCode("open-failed", op, ann.handle, "other", mine); e.Reason != "context" {
			t.Errorf("reason %q", e.Reason)
		}
		c.wantCode("bad-argument", op, 0, "ctx", mine)
	}
	g := c.guard()
	if e := c.wantCode("open-failed", "open", ann.handle, ann.public.handle, 0, "", "", "ctx", 0, g, mine); e.Reason != "reflected" {
		t.Errorf("reason %q", e.Reason)
	}
}
