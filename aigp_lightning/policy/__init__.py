"""The policy phase: gate racing as a Gymnasium environment, and PPO on it.

Importing this registers `aigp/GateRace-v0`, for `gymnasium.make` and, batched, for `gymnasium.make_vec` with
`vectorization_mode="vector_entry_point"`. It imports nothing heavier than Gymnasium.
"""

import gymnasium

ENV_ID = "aigp/GateRace-v0"

if ENV_ID not in gymnasium.registry:
    gymnasium.register(
        ENV_ID,
        entry_point="aigp_lightning.policy.env.gym_env:GateRaceEnv",
        vector_entry_point="aigp_lightning.policy.env.gym_env:GateRaceVectorEnv",
    )
