module github.com/surety-go/surety/internal/bench

go 1.26.4

require github.com/tink-crypto/tink-go/v2 v2.4.0

require (
	golang.org/x/crypto v0.45.0 // indirect
	golang.org/x/sys v0.39.0 // indirect
	google.golang.org/protobuf v1.36.10 // indirect
)

replace github.com/surety-go/surety => ../..

replace github.com/surety-go/surety/guard/guardgrpc => ../../guard/guardgrpc
