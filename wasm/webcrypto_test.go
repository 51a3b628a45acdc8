//go:build !js

package main

import (
	"slices"
	"testing"

	"github.com/hopseal/hopseal/internal/chromium"
)

// From the threshold on WebCrypto seals, opens and digests bodies. A page without it, on plain
// http, opens what one with it sealed, and the other way round.
func TestLargeBodiesAreWebCryptos(t *testing.T) {
	p := open(chromium.New(t), serve(t, csp))
	got := chromium.Eval[[]string](p, `(async () => {
		await start();
		const { Identity, ReplayGuard, SharedKeyset, seal, open } = hopseal;
		const [ann, bob] = [await Identity.generate("ann"), await Identity.generate("bob")];
		const shared = await SharedKeyset.generate();
		const [ofBob, ofShared] = [await ReplayGuard.create({ identity: bob }), await ReplayGuard.create({ shared })];
		const used = [];
		for (const name of ["encrypt", "decrypt", "digest"]) {
			const original = crypto.subtle[name];
			crypto.subtle[name] = (...args) => (used.push(name), original.apply(crypto.subtle, args));
		}
		const hide = (on) => on ? Object.defineProperty(crypto, "subtle", { value: undefined, configurable: true }) : delete crypto.subtle;
		const plaintext = new Uint8Array(1 << 20).map((_, i) => i ^ (i >> 8));
		for (const [sealer, opener] of [
			[{ from: ann, to: [bob.public] }, { identity: bob, from: ann.public }],
			[{ shared, party: "x", toParty: "y" }, { shared, party: "y", fromParty: "x" }],
			[{ shared, from: ann, toParty: "y" }, { shared, party: "y", identity: bob, from: ann.public }],
		]) {
			for (const [sealing, opening] of [[false, false], [false, true], [true, false]]) {
				hide(sealing);
				const sealed = await seal(plaintext, sealer);
				hide(opening);
				const { data } = await open(sealed, { ...opener, replay: opener.shared ? ofShared : ofBob });
				used.push(data.length === plaintext.length && data.every((b, i) => b === plaintext[i]) ? "same" : "different");
			}
			hide(false);
		}
		return used;
	})()`)
	suite := []string{"encrypt", "digest", "digest", "decrypt", "same", "encrypt", "digest", "same", "digest", "decrypt", "same"}
	if want := slices.Repeat(suite, 3); !slices.Equal(got, want) {
		t.Errorf("WebCrypto did %q, want %q", got, want)
	}
}
