package keys

import "github.com/hopseal/hopseal/keys/internal/bridge"

// init offers what keys/trust does with the root of an identity: two roots sign a succession.
func init() {
	bridge.Offer(bridge.Roots[*Identity]{
		Attached: func(id *Identity) bool { return id.state.Load().root != nil },
		Sign: func(id *Identity, message []byte) ([]byte, error) {
			root := id.state.Load().root
			if root == nil {
				return nil, ErrDetached
			}
			return root.Sign(message)
		},
	})
}
