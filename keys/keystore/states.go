package keystore

import (
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/internal/bridge"
	"github.com/hopseal/hopseal/keys/trust"
)

// The bridges give a store access to the states inside identities, shared keysets and known peers, see
// package bridge.
var (
	identities    = bridge.Take[bridge.Identities[*keys.Identity]]()
	sharedKeysets = bridge.Take[bridge.SharedKeysets[*keys.SharedKeyset]]()
	knownPeers    = bridge.Take[bridge.KnownPeers[*trust.KnownPeers]]()
)
