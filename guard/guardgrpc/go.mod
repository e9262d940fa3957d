module github.com/surety-go/surety/guard/guardgrpc

go 1.26.0

require github.com/surety-go/surety v0.0.0-00010101000000-000000000000

replace github.com/surety-go/surety => ../..
