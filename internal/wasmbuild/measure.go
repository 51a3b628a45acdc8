package wasmbuild

import (
	"compress/gzip"
	"fmt"
	"os"
)

// Sizes of a file in bytes, as it is and as a server sends it compressed.
type Sizes struct{ Raw, Gzip int }

func (s Sizes) String() string { return fmt.Sprintf("raw %d, gzip %d bytes", s.Raw, s.Gzip) }

// Measure compresses a file at the best quality.
func Measure(path string) (Sizes, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Sizes{}, err
	}
	var zipped counter
	zip, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return Sizes{}, err
	}
	if _, err := zip.Write(b); err != nil {
		return Sizes{}, err
	}
	if err := zip.Close(); err != nil {
		return Sizes{}, err
	}
	return Sizes{len(b), int(zipped)}, nil
}

type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
