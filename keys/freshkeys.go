package keys

import "github.com/hopseal/hopseal/internal/freshkeys"

func init() {
	freshkeys.Of = func(of any) *freshkeys.Mark {
		switch k := of.(type) {
		case *Identity:
			if k != nil {
				return &k.fresh
			}
		case *SharedKeyset:
			if k != nil {
				return &k.fresh
			}
		}
		return new(freshkeys.Mark) // nil keys: nobody generated them
	}
}
