"""Ways to reach people: SMS vendors, e-mail, webhooks, incident services."""
