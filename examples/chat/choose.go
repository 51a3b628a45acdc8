//go:build !js

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hopseal/hopseal/keys"
)

const (
	// How much of a fingerprint stands for all of it. To make a key with the
	// same 60 bits in front takes some 2^60 tries.
	minPrefix = len("fp1") + 12
	maxShown  = 4096 // names
)

// shownPeers remembers under each name which fingerprints the user has seen in
// this run. A name with more than one does not say which of them the user
// compared: a relay could swap the member between the look and the command.
type shownPeers map[string]map[keys.Fingerprint]bool

func (s shownPeers) add(m *member) {
	if m.problem != "" || s[m.name] == nil && len(s) >= maxShown {
		return
	}
	if s[m.name] == nil {
		s[m.name] = make(map[keys.Fingerprint]bool)
	}
	if len(s[m.name]) < 2 { // two are as good as many
		s[m.name][m.public.Fingerprint()] = true
	}
}

// unique reports whether the member's fingerprint is the only one that was
// shown under its name.
func (s shownPeers) unique(m *member) bool {
	return len(s[m.name]) == 1 && s[m.name][m.public.Fingerprint()]
}

// handle returns what to type after /admit for a member about to be shown: its
// name where that is enough and can be typed.
func (s shownPeers) handle(m *member) string {
	before := s[m.name]
	alone := len(before) == 0 && len(s) < maxShown || s.unique(m)
	if alone && shownName(m.name) == m.name && !looksLikeFingerprint(m.name) {
		return m.name
	}
	return groups(m.public.Fingerprint().String()[:minPrefix])
}

// choose finds the member that the user means by a name or by the beginning of a
// fingerprint.
func (s shownPeers) choose(members []*member, who string) (*member, error) {
	if looksLikeFingerprint(who) {
		return chooseByFingerprint(members, strings.ReplaceAll(who, " ", ""))
	}
	var found *member
	for _, m := range members {
		switch {
		case m.name != who:
		case m.problem != "":
			return nil, fmt.Errorf("%s cannot be: %s", shownName(m.name), m.problem)
		case found != nil && !found.public.Equal(m.public), !s.unique(m):
			return nil, fmt.Errorf("more than one fingerprint was shown under this name: type the start of the one that you compared, as in /admit %s",
				groups(m.public.Fingerprint().String()[:minPrefix]))
		default:
			found = m
		}
	}
	if found == nil {
		return nil, errors.New("nobody here has this name: /members lists who is here")
	}
	return found, nil
}

func chooseByFingerprint(members []*member, prefix string) (*member, error) {
	if len(prefix) < minPrefix {
		return nil, errors.New("that is too little of a fingerprint: type fp1 and at least the three groups after it")
	}
	for _, m := range members {
		if m.problem == "" && strings.HasPrefix(m.public.Fingerprint().String(), prefix) {
			return m, nil
		}
	}
	return nil, errors.New("nobody here has a fingerprint that starts so: /members lists who is here")
}

// looksLikeFingerprint decides by the letters, so that a name cannot pose as
// the beginning of another member's fingerprint.
func looksLikeFingerprint(s string) bool {
	rest, ok := strings.CutPrefix(s, "fp1")
	return ok && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz234567 ") == ""
}
