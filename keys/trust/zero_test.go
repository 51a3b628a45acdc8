package trust

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// A Verifier that nobody has made trusts nobody. It says so with an Error, and does not panic.
func TestZeroVerifiersRefuse(t *testing.T) {
	var noAuthority *Authority
	var noPeers *KnownPeers
	verifiers := map[string][]Verifier{
		"Authority":  {noAuthority, new(Authority), noPeers.RefuseRevoked(noAuthority), new(KnownPeers).RefuseRevoked(new(Authority))},
		"KnownPeers": {noPeers, new(KnownPeers)},
		"firstUse":   {noPeers.TrustOnFirstUse(), firstUse{}},
		"pinned":     {Pinned(), pinned(nil)},
		"refusing":   {noPeers.RefuseRevoked(Pinned()), noPeers.RefuseRevoked(InsecureAnyone()), new(KnownPeers).RefuseRevoked(noPeers)},
		"anyone":     {}, // trusts everybody, as its constructor's name says
	}
	for _, name := range verifierTypes(t) {
		if _, tested := verifiers[name]; !tested {
			t.Errorf("%s has a Verify and is not tested here", name)
		}
	}
	id := testIdentity(t, "peer")
	peer := id.Public()
	revoked, err := id.Revocation()
	if err != nil {
		t.Fatal(err)
	}
	for name, all := range verifiers {
		for i, v := range all {
			for _, want := range []Expected{{}, {Address: "example.com:443", Role: RoleServer}, {Room: "blue"}, {Role: RoleClient}} {
				if err := v.Verify(t.Context(), want, peer); reason(err) != Unknown {
					t.Errorf("%s %d, %+v: %v", name, i, want, err)
				}
			}
			if err := v.Verify(t.Context(), Expected{}, revoked); reason(err) != Revoked {
				t.Errorf("%s %d, a revoked identity: %v", name, i, err)
			}
			if err := v.Verify(t.Context(), Expected{}, nil); err == nil {
				t.Errorf("%s %d trusts a nil identity", name, i)
			}
			if n, ok := v.(ChangeNotifier); ok {
				n.OnChange(func() {})()
			}
		}
	}
}

// An Authority that nobody has made takes nothing in.
func TestZeroAuthorityTakesNothing(t *testing.T) {
	peer := testIdentity(t, "peer").Public()
	for _, a := range []*Authority{nil, new(Authority)} {
		for name, err := range map[string]error{"Update": a.Update(peer), "Add": a.Add([]byte("voucher")), "Revoke": a.Revoke(peer)} {
			if err == nil || errors.Is(err, ErrNotRevocation) || errors.Is(err, ErrVoucher) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// verifierTypes returns the types in keys and below that have a method Verify of a Verifier.
func verifierTypes(t *testing.T) (names []string) {
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "Verify" || f.Type.Params.NumFields() != 3 {
				continue
			}
			receiver := f.Recv.List[0].Type
			if p, ok := receiver.(*ast.StarExpr); ok {
				receiver = p.X
			}
			names = append(names, receiver.(*ast.Ident).Name)
		}
		return nil
	})
	if err != nil || len(names) == 0 {
		t.Fatalf("%v, %v", names, err)
	}
	return names
}
