package keystore

import (
	"fmt"
	"strings"
	"testing"
)

// A42, where fmt cannot call a method: in unexported fields.
func TestA42APassphraseInAnUnexportedFieldIsNotPrinted(t *testing.T) {
	holder := struct{ secret any }{passphrase}
	secret := []byte(testPassphrase)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d"} {
		text := fmt.Sprintf(verb, holder)
		for _, form := range []string{string(secret[:8]), fmt.Sprintf("%x", secret[:8]), strings.Trim(fmt.Sprint(secret[:6]), "[]")} {
			if strings.Contains(text, form) {
				t.Errorf("%s prints %q", verb, form)
			}
		}
	}
}
