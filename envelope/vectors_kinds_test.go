package envelope

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/trust"
)

// judged is what the judge of a vector knows that is no message.
type judged struct {
	Now      int64    `json:"now,omitempty"`      // Unix seconds; 0 where no clock is asked
	Expected hexBytes `json:"expected,omitempty"` // of an identity at a time: the fingerprint that is expected

	// Of a voucher, beside From, the authority: what is expected, and who is there.
	Address string   `json:"address,omitempty"`
	Room    string   `json:"room,omitempty"`
	Role    byte     `json:"role,omitempty"`
	Vouched hexBytes `json:"vouched,omitempty"` // public identity

	// Of a safety code, beside Fingerprint, one's own.
	Peer   hexBytes `json:"peer,omitempty"`   // fingerprint
	Number string   `json:"number,omitempty"` // the safety number of the two
}

var errRefused = errors.New("refused")

// judges return an error for what is refused, and what they read where that is bytes.
var judges = map[string]func(t *testing.T, v vector, sealed []byte) ([]byte, error){
	"identity": func(t *testing.T, v vector, sealed []byte) ([]byte, error) {
		p, err := keys.ParsePublic(sealed)
		if err != nil || v.Now == 0 {
			return nil, err
		}
		return nil, v.at(t, func() error {
			return trust.Pinned(keys.Fingerprint(v.Expected)).Verify(context.Background(), trust.Expected{}, p)
		})
	},
	"succession": func(_ *testing.T, _ vector, sealed []byte) ([]byte, error) {
		_, err := trust.ParseSuccession(sealed)
		return nil, err
	},
	"voucher": judgeVoucher,
	"fingerprint": func(_ *testing.T, _ vector, sealed []byte) ([]byte, error) {
		f, err := keys.ParseFingerprint(string(sealed))
		if err != nil {
			return nil, err
		}
		return f[:], nil
	},
	"safety": judgeSafety,
	"private identity": func(_ *testing.T, _ vector, sealed []byte) ([]byte, error) {
		_, err := keys.ParseCleartextIdentity(sealed, insecurecleartext.Token{})
		return nil, err
	},
	"shared keyset": func(_ *testing.T, _ vector, sealed []byte) ([]byte, error) {
		_, err := keys.ParseCleartextSharedKeyset(sealed, insecurecleartext.Token{})
		return nil, err
	},
}

// at runs f when the clock says v.Now.
func (v vector) at(t *testing.T, f func() error) (err error) {
	synctest.Test(t, func(*testing.T) {
		time.Sleep(time.Until(time.Unix(v.Now, 0)))
		err = f()
	})
	return err
}

func judgeVoucher(t *testing.T, v vector, sealed []byte) ([]byte, error) {
	authority, err := keys.ParsePublic(v.From)
	if err != nil {
		t.Fatal(err)
	}
	a := trust.NewAuthority(authority)
	if err := a.Add(sealed); err != nil {
		return nil, err
	}
	got, err := keys.ParsePublic(v.Vouched)
	if err != nil {
		t.Fatal(err)
	}
	return nil, v.at(t, func() error {
		a := trust.NewAuthority(authority) // with no lock of another bubble
		if err := a.Add(sealed); err != nil {
			return err
		}
		return a.Verify(context.Background(), trust.Expected{Address: v.Address, Room: v.Room, Role: trust.Role(v.Role)}, got)
	})
}

func judgeSafety(_ *testing.T, v vector, sealed []byte) ([]byte, error) {
	own, peer := keys.Fingerprint(v.Fingerprint), keys.Fingerprint(v.Peer)
	if trust.SafetyNumber(own, peer) != v.Number || trust.SafetyNumber(peer, own) != v.Number {
		return nil, errRefused
	}
	return nil, trust.ScanSafetyCode(string(sealed), own, peer)
}

// judgedCase is a case of such a kind.
type judgedCase struct {
	name, comment string
	vector        func() vector
}

func makingsOf(kind string, good bool, cases []judgedCase) (all []making) {
	prefix := "bad-"
	if good {
		prefix = "good-"
	}
	for _, c := range cases {
		all = append(all, making{prefix + c.name, func() vector {
			v := c.vector()
			v.Comment, v.Kind, v.Expect = c.comment, kind, "refused"
			if good {
				v.Expect = "open"
			}
			return v
		}})
	}
	return all
}

func of(sealed func() []byte) func() vector { return func() vector { return vector{Sealed: sealed()} } }
