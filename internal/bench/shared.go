package main

import (
	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
)

// sharedRows hold the shared suite with HMAC against JWE under a shared key.
func sharedRows(e effort) ([]row, error) {
	beatPeers := goal{"ratio < 1, <= 4 allocations", func(r row) bool { return r.Ratio < 1 && r.Allocations <= 4 }}
	var rows []row
	for _, size := range []int{64, 1 << 10} {
		for _, peer := range []func() (codec, error){newJWX, newGoJOSE} {
			theirs, err := peer()
			if err != nil {
				return nil, err
			}
			ours, err := newShared()
			if err != nil {
				return nil, err
			}
			more, err := compare(e, size, ours, theirs, beatPeers)
			if err != nil {
				return nil, err
			}
			rows = append(rows, more...)
		}
	}
	guarded, err := guardedRow(e)
	return append(rows, guarded), err
}

// newShared opens one envelope again and again, so without a ReplayGuard.
func newShared() (codec, error) {
	s, o, err := sharedPair()
	return envelopeCodec("shared keyset, HMAC", s, o), err
}

func sharedPair() (*envelope.Sealer, *envelope.Opener, error) {
	shared, err := keys.GenerateSharedKeyset()
	return &envelope.Sealer{Shared: shared, Party: "orders", ToParty: "stock", Context: "bench"},
		&envelope.Opener{Shared: shared, Party: "stock", FromParty: "orders", Context: "bench", InsecureAllowReplay: true}, err
}

func envelopeCodec(name string, s *envelope.Sealer, o *envelope.Opener) codec {
	var sealed, opened []byte
	return codec{name,
		func(plaintext []byte) (err error) {
			sealed, err = s.Seal(sealed[:0], plaintext)
			return err
		},
		func() (_ []byte, err error) {
			opened, _, err = o.Open(opened[:0], sealed)
			return opened, err
		}}
}

// guardedRow opens fresh envelopes under a ReplayGuard, against opening one
// without.
func guardedRow(e effort) (row, error) {
	const calls = 50
	s, o, err := sharedPair()
	if err != nil {
		return row{}, err
	}
	plaintext := message(64)
	var f failed
	var fresh [calls][]byte
	next := calls // those before it are used up
	refill := func() {
		for ; next > 0; next-- {
			var err error
			fresh[next-1], err = s.Seal(fresh[next-1][:0], plaintext)
			f.check(err)
		}
	}
	refill()
	again, err := s.Seal(nil, plaintext)
	if err != nil {
		return row{}, err
	}
	guarded := *o
	guarded.InsecureAllowReplay, guarded.Replay = false, envelope.FirstReplayGuard(guarded.Shared)
	var opened []byte
	r := comparison{calls: calls, prepare: refill,
		a: func(int) {
			opened, _, err = guarded.Open(opened[:0], fresh[next])
			f.check(err)
			next++
		},
		b: func(int) {
			opened, _, err = o.Open(opened[:0], again)
			f.check(err)
		},
	}.fit(e).run().against(goal{})
	r.What, r.Against = "shared keyset, HMAC, open 64 B, ReplayGuard", "the same without ReplayGuard"
	return r, f.err
}
