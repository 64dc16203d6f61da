"""SMS vendors: Twilio with its callbacks, and Alibaba Cloud."""
