package keystore

import (
	"fmt"
	"testing"
)

// What has the key of a file prints as the path, whatever the verb: nothing of it gets into a log.
func TestHoldersOfAStoreKeyPrintNoKey(t *testing.T) {
	key := []byte("secret key of the file")
	for want, v := range map[string]any{
		"keystore.Store(/p)":   &Store{path: "/p", master: key},
		"keystore.Replica(/p)": &Replica{path: "/p", master: key},
		"keystore.Client(/p)":  &Client{Replica: &Replica{path: "/p", master: key}, path: "/p", control: key},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
			if got := fmt.Sprintf(verb, v); got != want {
				t.Errorf("%s of %T: %s", verb, v, got)
			}
		}
	}
}
