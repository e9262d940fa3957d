module github.com/surety-go/surety/internal/tools

go 1.26.4
