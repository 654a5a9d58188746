"""The only code that knows DynamoDB, S3, SQS and Secrets Manager; others see the ports."""
