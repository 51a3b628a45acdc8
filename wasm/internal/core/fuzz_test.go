package core

import (
	"testing"

	"github.com/hopseal/hopseal/internal/keyfile"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/transport/relay/frame"
)

// FuzzA32Call sends any request to any operation of a core that holds one object
// of every type, handles 1 to 10. Nothing may kill it.
func FuzzA32Call(f *testing.F) {
	seedClient := newFilledClient(f)
	sealed := seedClient.must("seal", 1, []uint32{4}, 0, "", "", "", "ctx", []byte("hi"))
	envelope := sealed.bytes()
	peers := seedClient.must("peersBytes", 6)
	room := []any{"", "room", 3, ""}
	seed := func(name string, values ...any) { f.Add(number(f, name), encode(values...)) }
	seed("info")
	seed("release", 1)
	seed("identityGenerate", "ann")
	seed("identityRenew", 1)
	seed("identityMarshal", 1)
	seed("identityParse", []byte{1})
	seed("publicParse", []byte{1})
	seed("peersParse", peers.bytes())
	seed("peersVerify", append(append([]any{6}, room...), 4)...)
	seed("peersAdmit", append(append([]any{6}, room...), 4)...)
	seed("peersForget", append(append([]any{6}, room...), keys.Fingerprint{}.String())...)
	seed("peersRevoke", 6, 4)
	seed("peersAdmitted", append([]any{6}, room...)...)
	seed("sharedMarshal", 5)
	seed("sharedParse", []byte{1})
	seed("guardCreate", 1, 0)
	seed("guardCreate", 0, 5)
	seed("seal", 1, []uint32{4}, 0, "", "", "", "ctx", []byte("hi"))
	seed("seal", 0, []uint32{}, 5, "x", "y", "", "ctx", []byte("hi"))
	seed("open", 3, 2, 0, "", "", "ctx", 0, 7, envelope)
	seed("open", 3, 2, 0, "", "", "ctx", 1000, 0, envelope)
	seed("sealBegin", 1, []uint32{4}, 0, "", "", "", "ctx", 1<<20)
	seed("sealBegin", 0, []uint32{}, 5, "x", "y", "", "ctx", 1<<31-1)
	seed("sealEnd", 8, make([]byte, 32))
	seed("openBegin", 3, 2, 0, "", "", "ctx", 0, 7, envelope)
	seed("openVerify", 9, make([]byte, 32))
	seed("openEnd", 9, make([]byte, 64))
	seed("inspect", envelope)
	seed("openOwn", 1, "ctx", envelope)
	seed("openOwnBegin", 1, "ctx", envelope)
	seed("guardWithdraw", 7, keys.Fingerprint{}.String(), make([]byte, 16))
	seed("keptCreate")
	seed("keptChanges", 10, 1, 6, 7, 0)
	content := newFilledClient(f)
	whole := content.must("keptChanges", 10, 1, 6, 7, 1)
	whole.number()
	seed("keptParse", whole.bytes(), []byte(nil))
	seed("accountImport", keyfile.Seal(nil, make([]byte, 32), keyfile.Argon{Passes: 1, KiB: 64, Lanes: 1}.Append(nil, make([]byte, 16))), "words")
	seed("relayJoin", "room", "ann", []byte("p"))
	seed("relayPublish", "room", []byte("p"))
	seed("relayEvent", frame.Joined{Topic: "room", Members: []frame.Member{{Name: "bob"}}}.Append(nil))
	f.Add(-1, []byte{})

	core := newFilledClient(f).core
	f.Fuzz(func(t *testing.T, op int, request []byte) {
		c := client{t, core}
		if _, err := c.raw(op, request); err != nil {
			if e, ok := err.(*Error); !ok || e.Code == "core-dead" || e.Code == "" {
				t.Fatalf("operation %d on %x: %v", op, request, err)
			}
		}
		if core.office.abandon(); len(core.objects.byHandle) > 100 {
			core = newFilledClient(t).core
		}
	})
}

// newFilledClient holds: 1 and 2 ann and her public half, 3 and 4 bob and his, 5
// a shared keyset, 6 known peers, 7 a guard, 8 a sealing, 9 an opening and 10 what was kept.
func newFilledClient(t testing.TB) client {
	c := newClient(t)
	c.generate("ann")
	c.generate("bob")
	c.must("sharedGenerate")
	c.must("peersCreate")
	guard := c.guard()
	sealed := c.must("seal", 1, []uint32{4}, 0, "", "", "", "", []byte("hi"))
	c.must("sealBegin", 1, []uint32{4}, 0, "", "", "", "", 2)
	c.must("openBegin", 3, 2, 0, "", "", "", 0, guard, sealed.bytes())
	c.must("keptCreate")
	return c
}

// abandon ends what waits for JavaScript.
func (o *office) abandon() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, cancel := range o.tickets {
		cancel()
	}
}
