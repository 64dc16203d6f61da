"""Everything that produces an answer: providers, selection and failover, workflows, agent, tools."""
