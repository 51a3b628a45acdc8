package keys

import "github.com/hopseal/hopseal/internal/newborn"

func init() {
	newborn.Of = func(of any) *newborn.Mark {
		switch k := of.(type) {
		case *Identity:
			if k != nil {
				return &k.newborn
			}
		case *SharedKeyset:
			if k != nil {
				return &k.newborn
			}
		}
		return new(newborn.Mark) // nothing was made
	}
}
