"""What gunicorn serves."""

from app import create_app
from config import Settings
from web import logs

settings = Settings.from_environment()
logs.configure(settings.log_level)
app = create_app(settings)
app.extensions["pool"].open()
