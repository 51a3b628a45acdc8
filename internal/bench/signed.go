package main

import (
	"fmt"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/keys"
)

// signedRows hold the shared suite with signatures against its primitives. The
// longer the message, the more its digest counts: from 1 MiB on it stands on both
// sides, at 4 KiB in a row of its own.
func signedRows(e effort) ([]row, error) {
	var rows []row
	for _, c := range []struct {
		size int
		bare func() (codec, error)
		goal goal
	}{
		{64, newSignedGCM, atMost(1.15)},
		{1 << 10, newSignedGCM, atMost(1.15)},
		{4 << 10, newSignedGCM, atMost(1.15)},
		{4 << 10, newDigestedGCM, goal{}},
		{1 << 20, newDigestedGCM, atMost(1.15)},
	} {
		bare, err := c.bare()
		if err != nil {
			return nil, err
		}
		ours, err := newSigned()
		if err != nil {
			return nil, err
		}
		more, err := compare(e, c.size, ours, bare, c.goal)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

func atMost(ratio float64) goal {
	return goal{fmt.Sprintf("ratio <= %g", ratio), func(r row) bool { return r.Ratio <= ratio }}
}

func newSigned() (codec, error) {
	shared, err := keys.GenerateSharedKeyset()
	if err != nil {
		return codec{}, err
	}
	alice, err := keys.GenerateIdentity("alice")
	if err != nil {
		return codec{}, err
	}
	bob, err := keys.GenerateIdentity("bob")
	if err != nil {
		return codec{}, err
	}
	return envelopeCodec("shared keyset, Ed25519",
		&envelope.Sealer{Shared: shared, From: alice, ToParty: "stock", Context: "bench"},
		&envelope.Opener{Shared: shared, Identity: bob, Party: "stock", From: alice.Public(), Context: "bench", InsecureAllowReplay: true}), nil
}
