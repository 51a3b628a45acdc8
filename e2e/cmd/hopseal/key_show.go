//go:build !js

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys/trust"
)

// showResult is what a store holds, without secrets.
type showResult struct {
	Store string `json:"store"`
	identityResult
	Keys  []keyResult  `json:"keys"`
	Peers []peerResult `json:"peers"`
}

// peerResult is one admission of a known peer.
type peerResult struct {
	Address     string `json:"address,omitempty"`
	Room        string `json:"room,omitempty"`
	Role        string `json:"role"`
	Fingerprint string `json:"fingerprint"`
	Level       string `json:"level"`
	Serial      uint64 `json:"serial"`
	Revoked     bool   `json:"revoked"`
}

func describePeer(p trust.KnownPeer) peerResult {
	return peerResult{p.At.Address, p.At.Room, roleText(p.At.Role), p.At.Fingerprint.String(), p.Level.String(), p.Serial, p.Revoked}
}

func roleText(r trust.Role) string {
	switch r {
	case trust.RoleServer:
		return "server"
	case trust.RoleClient:
		return "client"
	case trust.RoleMember:
		return "member"
	}
	return "any"
}

// at says where the peer is admitted.
func (r peerResult) at() string {
	switch {
	case r.Address != "":
		return "at " + shown(r.Address)
	case r.Room != "":
		return "in room " + safetext.Quote(r.Room, 200)
	}
	return "as a client"
}

func (r showResult) text(w io.Writer) {
	fmt.Fprintf(w, "store        %s\n", shown(r.Store))
	r.identityResult.text(w)
	fmt.Fprintf(w, "\n%10s  %-9s  %-20s  %s\n", "KEY", "STAGE", "SINCE", "KEYSET")
	for _, k := range r.Keys {
		fmt.Fprintf(w, "%10d  %-9s  %-20s  %s\n", k.Key, k.Stage, timeText(k.since()), k.set())
	}
	if len(r.Peers) > 0 {
		fmt.Fprintf(w, "\nPEERS\n")
	}
	for _, p := range r.Peers {
		level := p.Level
		if p.Revoked {
			level = "REVOKED"
		}
		fmt.Fprintf(w, "%s  %s, %s\n", p.Fingerprint, level, p.at())
	}
}

func keyShow(ctx context.Context, c *call) error {
	c.storeFlag()
	var within days
	c.Var(&within, "expires-within", "exit with 4 if the statement expires within this `time`, such as 7d, has expired or was revoked")
	if err := c.parse(0, 1); err != nil {
		return err
	}
	if len(c.args) > 0 {
		return c.showPublic(c.args[0], time.Duration(within))
	}
	return c.showStore(ctx, time.Duration(within))
}
