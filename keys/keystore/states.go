package keystore

import (
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/bridge"
	"github.com/hopseal/hopseal/keys/trust"
)

// A store hands its states about in identities and shared keysets that nobody else has, see
// package bridge.
var (
	identities    = bridge.Take[bridge.Identities[*keys.Identity]]()
	sharedKeysets = bridge.Take[bridge.SharedKeysets[*keys.SharedKeyset]]()
	knownPeers    = bridge.Take[bridge.KnownPeers[*trust.KnownPeers]]()
)
