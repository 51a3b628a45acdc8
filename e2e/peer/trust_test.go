package peer_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/peer"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/trust"
)

// wantUntrusted checks that a member dialled another one, or was dialled, in vain.
func wantUntrusted(t *testing.T, from *member, name string, reason e2e.Reason) {
	t.Helper()
	failed := new(e2e.HandshakeError)
	if _, err := from.Dial(t.Context(), name); !errors.As(err, &failed) || failed.Reason != reason {
		t.Errorf("%s dials %s: %v", from.name, name, err)
	}
}

// A trusted member cannot go by the name of another who is away, nor by one that nobody has.
func TestA06ATrustedMemberCannotAnswerForAnother(t *testing.T) {
	for name, verifier := range map[string]trust.Verifier{
		"members alone":           nil,
		"beside pins":             trust.Pinned(high.Fingerprint(), mallory.Fingerprint()),
		"beside one that is open": trust.InsecureAnyone(),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHub()
				cfg := trusting(low, high, mallory)
				cfg.Session.Verifier = verifier
				a := enterAs(t, h, low.Name(), cfg)
				for _, name := range []string{high.Name(), "somebody"} {
					liar := enterAs(t, h, name, trusting(mallory, low))
					wantUntrusted(t, a, name, e2e.ReasonUntrusted)
					wantUntrusted(t, liar, low.Name(), e2e.ReasonRefused)
					liar.Close()
					liar.cut()
				}
				b := enter(t, h, high, low)
				x, err := a.Dial(t.Context(), high.Name())
				if err != nil {
					t.Fatal(err)
				}
				talk(t, x, mustAccept(t, b))
				honest := enter(t, h, mallory, low)
				y, err := honest.Dial(t.Context(), low.Name())
				if err != nil {
					t.Fatal(err)
				}
				talk(t, y, mustAccept(t, a))
			})
		})
	}
}

func TestA06SeveralPinsNeedNames(t *testing.T) {
	pins := trust.Pinned(high.Fingerprint(), mallory.Fingerprint())
	cfg := peer.Config{Session: e2e.Config{Identity: low, Protocol: "test/1", Verifier: pins}}
	if _, err := peer.New(topic, cfg); !errors.Is(err, peer.ErrNames) {
		t.Errorf("several pins: %v, want %v", err, peer.ErrNames)
	}
	cfg.Members = map[string]keys.Fingerprint{"bob": high.Fingerprint(), "robert": high.Fingerprint(), "mallory": mallory.Fingerprint()}
	cfg.Address = func(name string) string { return name[len(name)-1:] }
	if n, err := peer.New(topic, cfg); err != nil { // b, t and y
		t.Errorf("a name for each: %v", err)
	} else {
		n.Close()
	}
	cfg.Address = func(string) string { return "everybody" }
	if _, err := peer.New(topic, cfg); err == nil {
		t.Error("two identities at one address are taken")
	}
	cfg.Members, cfg.Session.Verifier = nil, trust.Pinned(high.Fingerprint(), high.Fingerprint())
	if n, err := peer.New(topic, cfg); err != nil {
		t.Errorf("one pin: %v", err)
	} else {
		n.Close()
	}
	cfg.Session.Verifier = nil
	if _, err := peer.New(topic, cfg); err == nil {
		t.Error("nobody decides about trust, and that is taken")
	}
}

// gatekeeper refuses members at some addresses.
type gatekeeper struct{ refused []string }

func (g *gatekeeper) Verify(_ context.Context, want trust.Expected, got *keys.PublicIdentity) error {
	if want.Role != trust.RoleMember || slices.Contains(g.refused, want.Address) {
		return &trust.Error{Reason: trust.Unknown, Want: want, Got: got.Fingerprint()}
	}
	return nil
}

// One identity may have sessions under several names. Each is asked about under its own,
// with a link, without one, and when it comes back.
func TestA50ARecheckAsksAboutEveryName(t *testing.T) {
	for _, dialled := range []bool{false, true} {
		for _, linked := range []bool{true, false} {
			for _, refused := range []string{"one", "other"} {
				bubble(t, func(t *testing.T) {
					h := newHub()
					keeper := new(gatekeeper)
					cfg := trusting(low)
					cfg.Session.Verifier, cfg.Members = keeper, nil
					cfg.Address = func(name string) string { return name }
					a := enterAs(t, h, low.Name(), cfg)
					sessions, others := map[string]*e2e.Session{}, []*member{}
					for _, name := range []string{"one", "other"} {
						m := enterAs(t, h, name, trusting(high, low))
						others = append(others, m)
						sessions[name] = met(t, a, m, low.Name(), name, dialled)
					}
					if !linked {
						for _, m := range others {
							m.cut()
						}
					}
					keeper.refused = []string{refused}
					if err := a.Recheck(t.Context()); err != nil {
						t.Errorf("Recheck: %v", err)
					}
					for name, s := range sessions {
						select {
						case <-s.Done():
							if name != refused {
								t.Errorf("dialled %v, linked %v: %s is refused, and the session with %s has ended", dialled, linked, refused, name)
							}
						default:
							if name == refused {
								t.Errorf("dialled %v, linked %v: the session with %s goes on", dialled, linked, name)
							}
						}
					}
					for _, m := range others {
						s := sessions[m.name]
						if linked || m.name == refused {
							continue
						}
						if !dialled {
							m.name = refused // says the relay
						}
						m.join()
						mustSend(t, s, "still here")
						if err := s.Flush(t.Context()); err != nil {
							t.Errorf("dialled %v: coming back: %v", dialled, err)
						}
					}
				})
			}
		}
	}
}
